// Copies what the screens use of the libraries to where go:embed finds it.
import { cp, mkdir, rm } from "node:fs/promises";

const vendor = new URL("../static/vendor/", import.meta.url);
const files = ["uplot/dist/uPlot.iife.min.js", "uplot/dist/uPlot.min.css", "uplot/LICENSE"];

await rm(vendor, { recursive: true, force: true });
await mkdir(vendor, { recursive: true });
for (const file of files) {
  const name = file.endsWith("LICENSE") ? "uPlot.LICENSE.txt" : file.split("/").at(-1);
  await cp(new URL("./node_modules/" + file, import.meta.url), new URL(name, vendor));
  console.log("static/vendor/" + name);
}
