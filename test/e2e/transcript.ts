import build from "../global-setup.ts";
import { playTranscript } from "./play-transcript.ts";

await build();
process.stdout.write(`${await playTranscript()}\n`);
