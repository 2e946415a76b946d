// A plain file host for a site, made up for a test.
import { readFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";

const types = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".webmanifest": "application/manifest+json",
};

// Serves a folder at the top and under `/team/`, some of its files replaced, until the test ends or `stop` is called.
export async function host(t, folder, replaced = {}) {
  const server = http.createServer((request, response) => {
    const name = decodeURIComponent(request.url.split("?")[0]).replace(/^\/(team\/)?/, "") || "index.html";
    try {
      const body = replaced[name] ?? readFileSync(path.join(folder, name));
      response.writeHead(200, { "content-type": types[path.extname(name)] ?? "text/plain" }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  t.after(stop);
  return { url: `http://127.0.0.1:${server.address().port}/team/`, stop };
}
