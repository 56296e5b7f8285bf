import { type ControlOptions, type ControlRig, createControl } from "./control-rig.ts";
import { type StandIn, type StandInOptions, startStandIn } from "./forge/stand-in.ts";

/**
 * The control side against a stand-in: acme/app with people of every right, issue #1, and the bot as its
 * admin.
 */
export interface ForgeRig extends ControlRig {
  readonly standIn: StandIn;
  /** Id of acme/app. */
  readonly repository: { readonly id: number; readonly fullName: string };
  readonly people: Readonly<
    Record<"owner" | "dev" | "reader" | "stranger" | "bot", { id: number; login: string }>
  >;
  readonly at: { readonly repo: string; readonly number: number };
  /** Bodies of the bot's comments on #1, oldest first. */
  botComments(): string[];
  stop(): Promise<void>;
}

export async function createForgeRig(
  options: Omit<ControlOptions, "forge"> & {
    botIs?: "admin" | "write";
    standIn?: StandInOptions;
    mostBytes?: number;
  } = {},
): Promise<ForgeRig> {
  const standIn = await startStandIn(options.standIn);
  const create = (login: string) => standIn.people.createUser(login);
  const people = {
    owner: create("owner"),
    dev: create("dev"),
    reader: create("reader"),
    stranger: create("stranger"),
    bot: create("lazarus"),
  };
  standIn.people.createOrganization("acme", "owner");
  // Only a member of a team may look into it.
  standIn.people.createTeam("acme", "leads", { permission: "read", members: ["stranger", "lazarus"] });
  const repository = await standIn.people.createRepository("acme/app", { isPrivate: true });
  standIn.people.addCollaborator("acme/app", "dev", "write");
  standIn.people.addCollaborator("acme/app", "reader", "read");
  standIn.people.addCollaborator("acme/app", "lazarus", options.botIs ?? "admin");
  const number = await standIn.people.openIssue("owner", "acme/app", {
    title: "Make the parser accept empty input",
    body: "It throws on an empty string.",
  });
  const { mostBytes } = options;
  const forge = { url: standIn.url, token: people.bot.token, mostBytes };
  const rig = createControl({ ...options, forge });
  const bare = ({ id, login }: { id: number; login: string }) => ({ id, login });
  return {
    ...rig,
    standIn,
    repository: { id: repository.id, fullName: "acme/app" },
    people: {
      owner: bare(people.owner),
      dev: bare(people.dev),
      reader: bare(people.reader),
      stranger: bare(people.stranger),
      bot: bare(people.bot),
    },
    at: { repo: "acme/app", number },
    botComments: () =>
      standIn.people
        .comments("acme/app", number)
        .filter((one) => one.authorId === people.bot.id)
        .map((one) => one.body),
    async stop() {
      rig.remove();
      await standIn.stop();
    },
  };
}
