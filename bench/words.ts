/** Text of about that many characters, the same each time. */
export function machineText(characters: number): string {
  return "Make the parser accept empty input, and say so in its help.\n"
    .repeat(Math.ceil(characters / 60))
    .slice(0, characters);
}
