import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Of `localhost`, signed by itself. */
export function certificate(): { key: string; cert: string } {
  const dir = mkdtempSync(join(tmpdir(), "lazarus-ca-"));
  try {
    const options = [
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=localhost",
    ];
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        ...options,
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        "key",
        "-out",
        "cert",
      ],
      { cwd: dir, stdio: "ignore" },
    );
    return { key: readFileSync(join(dir, "key"), "utf8"), cert: readFileSync(join(dir, "cert"), "utf8") };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
