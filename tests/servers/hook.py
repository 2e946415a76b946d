"""A webhook for a test: says its address on its first line.

    hook.py FOLDER STATUS…

Answers one request after another with the statuses, the last of them for ever, and writes each request to the folder.
"""
import http.server, json, os, sys

folder, statuses = sys.argv[1], [int(status) for status in sys.argv[2:]]


class Hook(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        told = {"path": self.path, "headers": {key.lower(): value for key, value in self.headers.items()}, "body": body}
        path = os.path.join(folder, f"{Hook.asked}.json")
        with open(path, "w") as out:
            json.dump(told, out)
        status = statuses[min(Hook.asked, len(statuses) - 1)]
        Hook.asked += 1
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
print(json.dumps({"address": f"http://127.0.0.1:{server.server_port}"}), flush=True)
server.serve_forever()
