import type { Forge } from "./port.ts";

/**
 * The same forge, which is asked who may do what with another account: one that administers the repositories
 * and may only read. That account is nobody who can be asked for anything.
 */
export function askingRightsAs(forge: Forge, other: Forge): Forge {
  return {
    ...forge,
    permission: other.permission,
    isTeamMember: other.isTeamMember,
    isTeamVisible: other.isTeamVisible,
    hooks: other.hooks,
    readers: other.readers,
    async writers(name) {
      const [own, all] = await Promise.all([other.me(), other.writers(name)]);
      return all.filter((one) => one.id !== own.id);
    },
  };
}
