import * as z from "zod";

/** A column that holds JSON of a shape. */
export const json = <T extends z.ZodType>(shape: T) =>
  z.string().transform((text, context): z.infer<T> => {
    const parsed = shape.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    context.addIssue({ code: "custom", message: parsed.error.message });
    return z.NEVER;
  });
/** A column that holds 0 or 1. */
export const flag = z.number().transform((value) => value !== 0);
