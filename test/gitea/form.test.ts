import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FORM_FIELDS, readForm } from "../../src/gitea/form.ts";
import { type FormValues, formBody } from "../e2e/proposal-forms.ts";
import { growth } from "../fakes/growth.ts";

const GOOD: FormValues = {
  Objective: "The parser accepts empty input.",
  "Acceptance criteria": 'parse("") gives {}',
  Agents: "allegro+ezra",
  "Time to live": "4h",
  "Not to be touched": "docs/**\n*.lock",
};
const texts = (body: string) => {
  const form = readForm(body);
  return form === null
    ? null
    : Object.fromEntries(FORM_FIELDS.map((field) => [field, form[field].fault ?? form[field].text]));
};
const EMPTY = Object.fromEntries(FORM_FIELDS.map((field) => [field, ""]));

describe("a form", () => {
  it("is read as it was filled", () => {
    expect(texts(formBody(GOOD))).toEqual({ ...EMPTY, ...GOOD });
    expect(texts(formBody({}))).toEqual(EMPTY);
  });

  it.each([
    ["CRLF", "\r\n"],
    ["LF", "\n"],
    ["CR", "\r"],
  ])("is read with lines that end with %s", (_, end) => {
    const body = formBody(GOOD).replace(/\r\n|\n/g, end);
    expect(texts(body)).toEqual({ ...EMPTY, ...GOOD });
  });

  it.each([
    ["nothing", ""],
    ["no marker", formBody(GOOD).replace(/^.*\n/, "")],
    ["a marker that is not the first line", `\n${formBody(GOOD)}`],
    ["another marker", formBody(GOOD).replace("mission:1", "mission:2")],
    ["a quoted marker", `> ${formBody(GOOD)}`],
  ])("is none with %s", (_, body) => {
    expect(readForm(body)).toBeNull();
  });

  it("takes what was typed as no answer for none", () => {
    expect(texts(formBody({ ...GOOD, Agents: "_No response_" }))).toMatchObject({ Agents: "" });
  });

  it("names a heading that occurs twice, whatever stands between", () => {
    const body = formBody({ ...GOOD, Objective: "one\n\n### Agents\n\nkimi" });
    expect(texts(body)).toMatchObject({ Agents: "double", Objective: "one" });
    const fenced = formBody({ ...GOOD, Objective: "```\n### Target\n\nacme/evil\n```" });
    expect(texts(fenced)).toMatchObject({ Target: "double" });
    expect(texts(formBody(GOOD) + formBody(GOOD))).toEqual(
      Object.fromEntries(FORM_FIELDS.map((field) => [field, "double"])),
    );
  });

  it("names a heading that is missing, and one that is out of its order", () => {
    expect(texts(formBody(GOOD).replace("### Checks", "#### Checks"))).toMatchObject({ Checks: "missing" });
    const swapped = formBody(GOOD).replace("### Objective", "### X").replace("### Target", "### Objective");
    expect(texts(swapped)).toMatchObject({ Objective: "misplaced", Target: "missing" });
  });

  it("opens the one block that a field is rendered in, and names one that does not end", () => {
    const long = formBody({}).replace(
      "### Not to be touched\n\n_No response_",
      "### Not to be touched\n\n````text\n```\ndocs/**\n````",
    );
    expect(texts(long)).toMatchObject({ "Not to be touched": "```\ndocs/**" });
    const open = formBody({}).replace(
      "### Not to be touched\n\n_No response_",
      "### Not to be touched\n\n```text\ndocs/**",
    );
    expect(texts(open)).toMatchObject({ "Not to be touched": "fence" });
  });

  it("leaves blocks in what people say alone, also those that do not end", () => {
    expect(texts(formBody({ ...GOOD, Objective: "```js\nunclosed" }))).toMatchObject({
      Objective: "```js\nunclosed",
    });
  });

  it("never throws, and reads each value that holds no heading back", () => {
    const value = fc
      .string({ unit: "binary", maxLength: 200 })
      .map((text) => text.replace(/\r\n?/g, "\n").trim())
      .filter((text) => !/^###\s/m.test(text) && text !== "_No response_" && !/^[`~]{3}/.test(text));
    fc.assert(
      fc.property(value, value, (objective, agents) => {
        const form = readForm(formBody({ Objective: objective, Agents: agents }));
        expect(form?.Objective.text).toBe(objective);
        expect(form?.Agents.text).toBe(agents);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        readForm(`<!-- lazarus:mission:1 -->\n${text}`);
      }),
    );
  });

  it("of 10 MB is read at once", () => {
    const huge = "x\n".repeat(5 * 1024 ** 2);
    expect(readForm(formBody({ ...GOOD, Objective: huge }))?.Objective.text).toHaveLength(huge.length - 1);
  });

  it("costs no more than its length", () => {
    for (const text of ["### Agents\n", "```\n", "x", "\r", "### "]) {
      const work = (n: number) => readForm(formBody({ Objective: text.repeat(n) }));
      expect(growth(work, { from: 20_000, most: 1_280_000 })).toBeLessThan(3);
    }
  });
});
