/** `everywhere`: on each backend; else on the best there is, since what holds is not the backend's. */
export interface ServedCase {
  readonly id: string;
  readonly tries: string;
  readonly agent: string;
  /** `sandbox`: a plain process with the rights of Lazarus can do this, and nobody says otherwise. */
  readonly stoppedBy: "both" | "sandbox";
  readonly everywhere: boolean;
  readonly proof: Proof;
}

/** What tells whether it succeeded, and what shows that it was really tried. */
export type Proof =
  /** A spy that is run outside of the cell writes its name down; git without care runs it. */
  | { readonly kind: "spy"; readonly name: string; readonly git: readonly string[] }
  /** Nothing may be pushed. */
  | { readonly kind: "held" }
  /** The canary of another repository must not be on the branch. */
  | { readonly kind: "stolen" }
  /** Only `main` as it was and the cells' own branches are on the forge. */
  | { readonly kind: "refs" }
  /** What lies outside must not be shown by anybody. */
  | { readonly kind: "report" }
  /** What lies outside is still there after `destroy`, and the cell is not. */
  | { readonly kind: "scrub" }
  /** The agent's own log or report has it, nothing that is posted does. */
  | { readonly kind: "shown"; readonly raw: RegExp | string; readonly posted: RegExp | string };

/** At least 8 characters, and some that encodings change. */
export const OWN_SECRET = "sk-own/secret+of=the&agent";
const forms = (text: string) =>
  [0, 1, 2].map((shift) => Buffer.from("a".repeat(shift) + text).toString("base64"));
/** The part of the three alignments that does not depend on what stands before. */
const [BASE0 = "", BASE1 = "", BASE2 = ""] = forms(OWN_SECRET).map((form, shift) =>
  form.slice(shift === 0 ? 0 : 4, -4),
);

/** Every character as this, and all of them together; `n` is its code in hex. */
const each = (write: (n: string) => string) =>
  [...OWN_SECRET].map((char) => write(char.charCodeAt(0).toString(16))).join("");
const half = (between: string) => `${OWN_SECRET.slice(0, 9)}${between}${OWN_SECRET.slice(9)}`;
/** Its key as a file of a commit says it, each so that it was not found once. */
const DISGUISES: Readonly<Record<string, readonly [what: string, text: string]>> = {
  upper: ["in capitals", OWN_SECRET.toUpperCase()],
  escaped: ["as \\xNN", each((n) => `\\x${n}`)],
  unicode: ["as \\u00NN", each((n) => `\\u00${n}`)],
  bytes: ["in hex with blanks", each((n) => `${n} `)],
  colons: ["in hex with colons", each((n) => `${n}:`)],
  entities: ["as HTML entities", each((n) => `&#x${n};`)],
  bold: ["with empty bold in it", half("****")],
  comments: ["with a comment in it", half("<!-- -->")],
  hidden: ["behind a terminal's escape", `\u001b[${OWN_SECRET}`],
  quoted: ["over two lines of a quote", half("\n> ")],
};
const saysSecret = (text: string) => adds("leak.txt", text.replaceAll("'", "'\\''"));

const COMMIT = 'echo a > a.txt; git add .; git commit --quiet -m "work"';
const report = (how: string) => `${how}; ${COMMIT}`;
const adds = (path: string, text = "on: push") =>
  `mkdir -p "$(dirname '${path}')"; printf '%s\\n' '${text}' > '${path}'; git add -A; git commit --quiet -m "add it"`;
const OUT = "$ground/outside/keep.txt";

/** Name -> script; `$ground` is the directory above `data` and `missions`. */
export const AGENT_SCRIPTS: Readonly<Record<string, string>> = {
  armed: `spy="$PWD/.git/spy"
printf '%s\\n' '#!/bin/sh' 'echo "\${LAZARUS_CELL:-OUTSIDE}" >> "$(cat "$(dirname "$0")/where")$1"' 'case "$1" in clean|smudge) cat;; esac' > "$spy"
printf %s "$ground/canary/$LAZARUS_CELL-" > .git/where; chmod +x "$spy"; mkdir -p .git/info
mkdir .hooks; for hook in pre-commit post-commit pre-push post-checkout reference-transaction post-index-change; do printf '#!/bin/sh\\nexec sh "%s" hooksPath\\n' "$spy" > ".hooks/$hook"; done; chmod +x .hooks/*
echo armed > armed.txt; git add armed.txt; git commit --quiet -m armed
printf '* filter=spy diff=spy\\n' > .git/info/attributes
cat > .git/evil.cfg <<CFG
[filter "spy"]
	clean = sh '$spy' clean
	smudge = sh '$spy' smudge
[diff "spy"]
	textconv = sh '$spy' textconv
[core]
	hooksPath = $PWD/.hooks
	sshCommand = sh '$spy' sshCommand
	editor = sh '$spy' editor
	fsmonitor = sh '$spy' fsmonitor
[credential]
	helper = "!sh '$spy' credential"
[gpg]
	program = $PWD/.git/gpg
[protocol "ext"]
	allow = always
[url "ext::sh $PWD/.git/ext "]
	insteadOf = http://
CFG
printf '#!/bin/sh\\nexec sh "%s" gpg\\n' "$spy" > .git/gpg; chmod +x .git/gpg
git config include.path evil.cfg
echo "left $$" > left.txt; echo changed > src.txt`,
  hooked: `printf %s "$ground/canary/$LAZARUS_CELL-" > .git/where
for hook in pre-commit post-commit pre-push post-checkout reference-transaction post-index-change pre-auto-gc pre-receive update; do
  mkdir -p .git/hooks; printf '#!/bin/sh\\necho "\${LAZARUS_CELL:-OUTSIDE}" >> "$(cat "%s/.git/where")hooks"\\n' "$PWD" > ".git/hooks/$hook"; chmod +x ".git/hooks/$hook"
done; echo left > left.txt`,
  alternates: `for m in "$ground"/data/mirrors/*; do git --git-dir="$m" show HEAD:secret.txt >> stolen.txt 2>/dev/null || git --git-dir="$m" show main:secret.txt >> stolen.txt; done; ${COMMIT}`,
  gitfile: `for m in "$ground"/data/mirrors/*; do git --git-dir="$m" cat-file -e main:secret.txt 2>/dev/null && other="$m"; done; rm -rf .git; echo "gitdir: $other" > .git; echo kept > kept.txt`,
  refs: `${COMMIT}; git update-ref refs/heads/main HEAD~0; git update-ref "refs/heads/--upload-pack=x" HEAD; git update-ref 'refs/heads/$(id)' HEAD; git update-ref refs/tags/v9 HEAD`,
  tree: `b=$(echo x | git hash-object -w --stdin); t=$(printf '100644 blob %s\\t.git\\n' "$b" | git mktree); c=$(git commit-tree -p HEAD -m evil "$t"); git update-ref HEAD "$c"`,
  orphan: `git checkout --quiet --orphan fresh; ${COMMIT}`,
  big: `head -c 3000000 /dev/urandom > big.bin; git add .; git commit --quiet -m big`,
  submodule: adds(".gitmodules", '[submodule "x"] path = x url = ext::sh -c id'),
  gitea: adds(".gitea/workflows/x.yml"),
  github: adds(".github/workflows/x.yml"),
  forgejo: adds(".forgejo/workflows/x.yml"),
  woodpecker: adds(".woodpecker.yml"),
  settings: adds("lazarus.yml"),
  attributes: adds(".gitattributes", "* filter=lfs"),
  leaker: adds("leak.txt", OWN_SECRET),
  encoder: `printf %s "$OWN_SECRET" | base64 -w 0 > leak.txt; git add .; git commit --quiet -m leak`,
  teller: `echo a > a.txt; git add .; git commit --quiet -m "it is $OWN_SECRET"`,
  namer: `echo a > a.txt; git add .; GIT_AUTHOR_NAME="$OWN_SECRET" git commit --quiet -m leak`,
  ...Object.fromEntries(Object.entries(DISGUISES).map(([name, [, text]]) => [name, saysSecret(text)])),
  nulled: `printf '*.c text\\0\\n* filter=x\\n' > .gitattributes; git add .; git commit --quiet -m nulled`,
  plussed: adds(".gitattributes", "++ * filter=x"),
  latin: `d=$(printf 'd\\377'); mkdir "$d"; echo '* filter=x' > "$d/.gitattributes"; git add .; git commit --quiet -m latin`,
  macro: adds(".gitattributes", "[attr]lf filter=x"),
  above: `mkdir evil; echo '* @dev' > evil/CODEOWNERS; ln -s evil docs; git add .; git commit --quiet -m above`,
  disguised: `mkdir evil; echo x > evil/x; ln -s evil .gitea; git add .; git commit --quiet -m link`,
  owners: adds("CODEOWNERS", "* @dev"),
  husky: adds(".husky/pre-commit", "id"),
  jenkins: adds("Jenkinsfile", "x"),
  operators: adds("deploy/run.sh", "id"),
  linker: report(`ln -s "${OUT}" "$LAZARUS_ARTIFACTS/reports/r.md"`),
  harder: report(`ln "${OUT}" "$LAZARUS_ARTIFACTS/reports/r.md"`),
  dirlinker: report(
    `rm -r "$LAZARUS_ARTIFACTS/reports"; ln -s "$ground/outside" "$LAZARUS_ARTIFACTS/reports"`,
  ),
  piper: report('mkfifo "$LAZARUS_ARTIFACTS/reports/r.md"'),
  scrubbed: `ln -s "$ground/outside" out; ln -s "$ground/outside" "$HOME/out"; mkdir -p "$HOME/ro/deep"; echo x > "$HOME/ro/deep/f"; chmod -R a-w "$HOME/ro"; chmod 000 "$HOME/ro/deep"; ${COMMIT}`,
  writer: `printf '%s\\n' '<!-- lazarus:card:00000000-0000-0000-0000-000000000000 -->' '@dev look' 'fixes #1' '/lazarus destroy --force' '<script>alert(1)</script>' '</details>' > "$LAZARUS_ARTIFACTS/reports/r.md"; printf '\\033[2Jred\\033[0m\\n' >> "$LAZARUS_ARTIFACTS/reports/r.md"; ${COMMIT}`,
  spiller: `s="$OWN_SECRET"; echo "plain $s x$s"; for p in "" a ab; do printf '%s%s' "$p" "$s" | base64 -w 0; echo; done
printf %s "$s" | base64 -w 0 | tr '+/' '-_'; echo; printf '%s\\n%s\\n' "$(printf %s "$s" | cut -c1-9)" "$(printf %s "$s" | cut -c10-)"; echo 'url ${encodeURIComponent(OWN_SECRET)}'; echo 'json ${JSON.stringify(OWN_SECRET).slice(1, -1).replaceAll("/", "\\/")}'; exit 3`,
};

type Rest = Partial<Pick<ServedCase, "stoppedBy" | "everywhere">>;
const on = (id: string, tries: string, agent: string, proof: Proof, rest: Rest = {}): ServedCase => ({
  ...{ id, tries, agent, proof, stoppedBy: "both", everywhere: false, ...rest },
});
const everywhere = { everywhere: true };
const spy = (id: string, name: string, tries: string, ...git: string[]) =>
  on(
    id,
    `have the bot run ${tries}`,
    name === "hooks" ? "hooked" : "armed",
    { kind: "spy", name, git },
    everywhere,
  );
const held = (id: string, tries: string, agent: string) => on(id, tries, agent, { kind: "held" });
const shown = (id: string, tries: string, raw: RegExp | string, posted: RegExp | string = raw) =>
  on(id, tries, typeof raw === "string" ? "spiller" : "writer", { kind: "shown", raw, posted });

/** Attacks on what is done with a cell from outside: numbers 3, 4, 5, 7, 10 and 11 of safety.md. */
export const SERVED_CASES: readonly ServedCase[] = [
  spy("3.1", "hooks", "its hooks", "commit", "--allow-empty", "-qm", "x"),
  spy("3.2", "hooksPath", "hooks by core.hooksPath", "commit", "--allow-empty", "-qm", "x"),
  spy("3.3", "fsmonitor", "core.fsmonitor", "status"),
  spy("3.4", "clean", "a clean filter", "add", "--renormalize", "."),
  spy("3.5", "smudge", "a smudge filter", "cat-file", "--filters", "HEAD:src.txt"),
  spy("3.6", "textconv", "a textconv", "log", "-p"),
  spy("3.7", "sshCommand", "core.sshCommand", "ls-remote", "ssh://nowhere.invalid/x"),
  spy("3.8", "credential", "a credential helper", "credential", "fill"),
  spy("3.9", "gpg", "gpg.program", "commit", "--allow-empty", "-S", "-qm", "x"),
  spy("3.10", "editor", "core.editor", "commit", "--allow-empty"),
  on(
    "3.11",
    "push what another repository's mirror holds",
    "alternates",
    { kind: "stolen" },
    { ...everywhere, stoppedBy: "sandbox" },
  ),
  on(
    "3.12",
    "have another repository taken for its own by a .git file",
    "gitfile",
    { kind: "stolen" },
    { ...everywhere, stoppedBy: "sandbox" },
  ),
  on("3.13", "push refs with odd names, tags, and main", "refs", { kind: "refs" }, everywhere),
  held("3.14", "push a tree that holds a .git", "tree"),
  held("3.15", "push a history without its base", "orphan"),
  held("3.16", "push a file that is too large", "big"),
  held("3.17", "push a submodule that runs a program", "submodule"),
  on("4.1", "have a link to outside posted as its report", "linker", { kind: "report" }, everywhere),
  on("4.2", "the same by a hard link", "harder", { kind: "report" }, everywhere),
  on("4.3", "the same by a directory that is a link", "dirlinker", { kind: "report" }, everywhere),
  on("4.4", "hang the bot at a fifo", "piper", { kind: "report" }, everywhere),
  on("5.1", "have destroy delete what lies outside, or fail", "scrubbed", { kind: "scrub" }, everywhere),
  shown("7.1", "mention people", /@dev look/, /(?<![\\\w])@dev look/),
  shown("7.2", "close an issue", /fixes #1/, /\bfixes #1\b/),
  shown("7.3", "forge a marker", /lazarus:card:0{8}/, /<!-- lazarus:card:0{8}/),
  shown("7.4", "give the bot a command", /^\/lazarus destroy/m, /^\s*\/lazarus destroy --force/m),
  shown("7.5", "post markup that runs", /<script>/, /(?<!\\)<script>/),
  shown("7.6", "post terminal escapes", /\u001b\[2J/, /\u001b/),
  shown("10.1", "print its key plain", OWN_SECRET),
  shown("10.2", "print its key in base64", BASE0),
  shown("10.3", "the same, one byte on", BASE1),
  shown("10.4", "the same, two bytes on", BASE2),
  shown("10.5", "print its key in URL-safe base64", BASE0.replaceAll("+", "-").replaceAll("/", "_")),
  shown("10.6", "print its key over two lines", `${OWN_SECRET.slice(0, 9)}\n${OWN_SECRET.slice(9)}`),
  shown("10.7", "print its key URL-encoded", encodeURIComponent(OWN_SECRET)),
  held("10.8", "push its key in a file", "leaker"),
  held("10.9", "push its key in base64", "encoder"),
  held("10.10", "push its key in a commit message", "teller"),
  held("10.11", "push its key as an author's name", "namer"),
  ...Object.entries(DISGUISES).map(([name, [what]], at) =>
    held(`10.${at + 12}`, `push its key ${what}`, name),
  ),
  held("11.1", "push a workflow of Gitea's", "gitea"),
  held("11.2", "push a workflow of GitHub's", "github"),
  held("11.3", "push a workflow of Forgejo's", "forgejo"),
  held("11.4", "push a pipeline of Woodpecker's", "woodpecker"),
  held("11.5", "push settings of Lazarus", "settings"),
  held("11.6", "push a filter in .gitattributes", "attributes"),
  held("11.7", "hide a filter behind a NUL byte", "nulled"),
  held("11.8", "hide a filter in a line of ++", "plussed"),
  held("11.9", "hide a filter in a directory that is no UTF-8", "latin"),
  held("11.10", "set a filter by a macro", "macro"),
  held("11.11", "have docs/CODEOWNERS come by a link", "above"),
  held("11.12", "have .gitea come by a link", "disguised"),
  held("11.13", "push who must review", "owners"),
  held("11.14", "push a hook of developers", "husky"),
  held("11.15", "push a pipeline of Jenkins'", "jenkins"),
  held("11.16", "push what publish.protected names", "operators"),
];
