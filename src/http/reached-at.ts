/** The fact that tells other processes where people reach the dashboard. */
export const REACHED_AT = "reached-at";
