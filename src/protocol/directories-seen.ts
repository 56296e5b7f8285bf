/** What one look at the missions root saw. Ids are in lower case. */
export interface DirectoriesSeen {
  readonly root: string;
  readonly there: ReadonlySet<string>;
  /** Why a directory is not as it must be, by id. */
  readonly damaged: ReadonlyMap<string, string>;
  readonly strangers: readonly string[];
}
