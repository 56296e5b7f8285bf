/** What a delivery tells us: only where to look, and what a new comment said when it was made. */
export type Event =
  | {
      readonly kind: "comment-created";
      readonly thread: Thread;
      readonly comment: { readonly id: number; readonly body: string };
      readonly issue: { readonly title: string; readonly body: string };
    }
  /** Something about an issue or pull request moved. */
  | { readonly kind: "thread-moved"; readonly thread: Thread }
  | { readonly kind: "ignored"; readonly reason: string };

export interface Thread {
  readonly repository: { readonly id: number; readonly fullName: string };
  readonly number: number;
  /** Who did it: the bot's own doings are not looked at. */
  readonly senderId: number;
}
