import { open } from "node:fs/promises";

/** What was made, renamed or removed in a directory is on disk when it answers. Throws the system's error. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
