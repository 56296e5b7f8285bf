/**
 * What servers do differently, seen on real ones. Lazarus relies on none of it: it works both ways. Whoever
 * looks at a server asks here what to expect of it, the stand-in here how to behave.
 */
export interface Ways {
  /** The status under which a renamed repository's old name leads to the new one. */
  readonly renamed: 301 | 307;
  /** What somebody with write permission is answered who asks for their own permission. */
  readonly ownPermission: 200 | 403;
  /** Whether somebody who may only read may list reviewers and propose a branch of the repository. */
  readonly readersPropose: boolean;
  /** Whether a branch that is deleted by API is told of by a delivery. */
  readonly deletionTold: boolean;
  /** Whether an issue that is deleted is told of by a delivery. */
  readonly issueDeletionTold: boolean;
  /** Whether payloads have Gitea's fields in Gitea's order: the stand-in writes no others. */
  readonly fieldsOfGitea: boolean;
  /** Whether every edit tells of labels too, as nulls. */
  readonly editsTellLabels: boolean;
  /** How many comments the issue has in the delivery of its first one. */
  readonly firstCommentCounts: 0 | 1;
  /** Whether a comment that is removed moves its thread. */
  readonly removalMoves: boolean;
  /** What stands before the words of a refused push, after git's `remote: `. */
  readonly refusal: string;
  /** Whether those who only remarked stand among a pull request's requested reviewers. */
  readonly remarkingIsRequested: boolean;
  /** Whether a conversation at a line can be answered by API, as a part of the review that began it. */
  readonly repliesAtLines: boolean;
  /** What stands where nobody was asked for a review. */
  readonly nobodyRequested: readonly [] | null;
  /** How long a page is at most, whatever is asked for (`MAX_RESPONSE_ITEMS`). */
  readonly mostItems: number;
  /** Whether payloads have the fields of 2025: `has_code`, `time_estimate`, empty lists in place of nulls. */
  readonly fieldsOf2025: boolean;
}

const GITEA_1_23: Ways = {
  renamed: 307,
  ownPermission: 403,
  readersPropose: false,
  deletionTold: true,
  issueDeletionTold: false,
  fieldsOfGitea: true,
  editsTellLabels: false,
  firstCommentCounts: 0,
  removalMoves: true,
  refusal: "Gitea: ",
  remarkingIsRequested: false,
  repliesAtLines: false,
  nobodyRequested: null,
  mostItems: 50,
  fieldsOf2025: false,
};

const FORGEJOS = { deletionTold: false, fieldsOfGitea: false, repliesAtLines: true } as const;

const WAYS = {
  "gitea-1.23": GITEA_1_23,
  "gitea-1.26": {
    renamed: 301,
    ownPermission: 200,
    readersPropose: false,
    deletionTold: true,
    issueDeletionTold: true,
    fieldsOfGitea: true,
    editsTellLabels: true,
    firstCommentCounts: 1,
    removalMoves: false,
    refusal: "error: ",
    remarkingIsRequested: true,
    repliesAtLines: false,
    nobodyRequested: [],
    mostItems: 50,
    fieldsOf2025: true,
  },
  "forgejo-10": { ...GITEA_1_23, refusal: "Forgejo: ", readersPropose: true, ...FORGEJOS },
} as const satisfies Record<string, Ways>;

/** A kind of server: the three that were tried. */
export type Line = keyof typeof WAYS;

/**
 * The line of servers whose ways a server has that calls itself so; a build without a version is a new one.
 */
export function lineOf(version: string): Line {
  if (version.includes("+gitea-")) return "forgejo-10";
  return /^1\.2[0-3]\./.test(version) ? "gitea-1.23" : "gitea-1.26";
}

export function waysOf(line: Line): Ways {
  return WAYS[line];
}
