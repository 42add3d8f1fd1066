import type { Photograph } from "./pipeline.js";

/** A page that shows every photograph with its web images and colours. */
export function contactSheet(photographs: readonly Photograph[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Contact sheet</title>
<style>
  body { margin: 2rem; font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fafafa }
  main { display: grid; gap: 2rem; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)) }
  img { width: 100%; height: 14rem; object-fit: cover; border-radius: 6px }
  i { display: inline-block; width: 2rem; height: 1rem; border-radius: 3px; margin-right: 4px }
  small { color: #666 }
</style>
<h1>${photographs.length} photographs</h1>
<main>
${photographs.map(figure).join("\n")}
</main>
</html>
`;
}

function figure({ name, width, height, bytes, colours, images }: Photograph): string {
  const smallest = images.findLast((image) => image.width >= 400) ?? images[0];
  const links = images.map((image) => `<a href="${image.file}">${image.width} px</a> ${kilobytes(image.bytes)}`);
  return `<figure>
  <img src="${smallest?.file}" alt="${name}">
  <figcaption><b>${name}</b> <small>${width} × ${height}, ${kilobytes(bytes)}</small><br>
  ${colours.map((colour) => `<i style="background:${colour}" title="${colour}"></i>`).join("")}<br>
  <small>${links.join(" · ")}</small></figcaption>
</figure>`;
}

export function kilobytes(bytes: number): string {
  return `${Math.round(bytes / 1_000)} kB`;
}
