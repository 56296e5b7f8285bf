import { html as tagged } from "hono/html";

/** HTML in which everything that came from outside was escaped: made by `html` alone. */
export type Html = Exclude<ReturnType<typeof tagged>, Promise<unknown>>;
/** What stands in a template: HTML stays, texts are escaped, and nothing is written for what is not there. */
export type Piece = Html | string | number | null | undefined | false | readonly Piece[];

/** A template. Attributes must stand in double quotes: what is put there is escaped for these. */
export function html(literals: TemplateStringsArray, ...values: readonly Piece[]): Html {
  const made = tagged(literals, ...values);
  if (made instanceof Promise) throw new TypeError("a page is made of what is there already");
  return made;
}
