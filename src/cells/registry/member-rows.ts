/** The agents of cells, in the table `members`. */
export const MEMBERS = "SELECT name, kind, role FROM members WHERE cell = @cellId ORDER BY kind, name";
export const ADD_MEMBER =
  "INSERT OR REPLACE INTO members (cell, name, kind, role) VALUES (@cellId, @name, @kind, @role)";
export const REMOVE_MEMBER = "DELETE FROM members WHERE cell = @cellId AND name = @name";
