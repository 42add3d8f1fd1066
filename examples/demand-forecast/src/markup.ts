/** HTML or SVG text that is safe to put into a page; only {@link markup} makes it. */
export class Markup {
  constructor(readonly text: string) {}
}

/** What can be put into a template. */
export type Content = Markup | string | number | undefined | readonly Content[];

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** A template tag: what is written in the template stays as it is, every value put into it is escaped. */
export function markup(template: TemplateStringsArray, ...values: Content[]): Markup {
  return new Markup(template.reduce((text, part, index) => text + render(values[index - 1]) + part));
}

function render(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Markup) return content.text;
  if (Array.isArray(content)) return content.map(render).join("");
  return String(content).replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}
