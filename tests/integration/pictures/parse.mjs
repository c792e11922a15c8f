// What Graphviz and Mermaid themselves make of the texts: prints, for each, the first line of the label of every node.
import fs from "node:fs";
import { instance } from "@viz-js/viz";
import { JSDOM } from "jsdom";

const page = new JSDOM("");
Object.assign(globalThis, { window: page.window, document: page.window.document });
const { default: mermaid } = await import("mermaid");
const [dotFile, mermaidFile] = process.argv.slice(2);

const drawn = (await instance()).render(fs.readFileSync(dotFile, "utf8"), { format: "svg" });
if (drawn.status !== "success") throw new Error(JSON.stringify(drawn.errors));
const svg = new JSDOM(drawn.output, { contentType: "image/svg+xml" }).window.document;
const graphviz = {};
for (const node of svg.querySelectorAll("g.node")) {
  graphviz[node.querySelector("title").textContent] = node.querySelector("text").textContent;
}

const text = fs.readFileSync(mermaidFile, "utf8");
await mermaid.parse(text);
const diagram = await mermaid.mermaidAPI.getDiagramFromText(text);
const flowchart = {};
for (const [id, vertex] of diagram.db.getVertices()) flowchart[id] = [vertex.text, vertex.classes];

console.log(
  JSON.stringify({
    graphviz,
    graphvizEdges: svg.querySelectorAll("g.edge").length,
    flowchart,
    flowchartEdges: diagram.db.getEdges().map((edge) => [edge.start, edge.end]),
  }),
);
