/** Under which name the registry keeps when the last backup was finished, in epoch ms. */
export const LAST_BACKUP = "backup:last";
