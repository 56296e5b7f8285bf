import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** `git` and `tar` that look for an ambush meant for them, and are the real ones else. */
export function layAmbush(dir: string): void {
  mkdirSync(join(dir, "bin"));
  for (const program of ["git", "tar"]) {
    const real = execFileSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim();
    const script = `#!/bin/sh
dir='${dir}'
PATH=\${PATH#"$dir/bin:"}
export PATH
if [ -e "$dir/ambush" ] && read -r program word when <"$dir/ambush" && [ "$program" = ${program} ]; then
  for one in "$@"; do
    [ "$one" = "$word" ] && mv "$dir/ambush" "$dir/ambush.$$" 2>/dev/null || continue
    case $when in after) ${real} "$@" ;; esac
    read -r pid <"$dir/pid"
    # What runs as a cell's own user cannot: then the rig does it.
    kill -9 "$pid" 2>/dev/null || { : >"$dir/kill"; while [ -d "/proc/$pid" ]; do sleep 0.01; done; }
    : >"$dir/ambushed"
    case $when in
      late) sleep 1; ${real} "$@" >/dev/null 2>&1; : >"$dir/late" ;;
      hang) exec sleep 600 ;;
    esac
    exit 1
  done
fi
exec ${real} "$@"
`;
    writeFileSync(join(dir, "bin", program), script);
    chmodSync(join(dir, "bin", program), 0o755);
  }
}
