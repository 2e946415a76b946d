"""An S3 server that checks signatures, for a test: says where it is on its first line, and ends with its input.

`/_control` is not S3's: `GET` tells the objects and the requests so far, `POST` sets what goes wrong from now on,
{"method": "PUT", "path": "a regular expression", "status": 503, "times": 2}, or puts an object, {"key", "text"}.
"""
import hashlib, json, os, re, sys, threading

# Requests up to this number are let in without a signature: those of this file.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "site"


class Faulty:
    def __init__(self, app):
        self.app, self.lock, self.fault, self.log = app, threading.Lock(), None, []

    def __call__(self, environ, start):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/_control":
            return self.control(environ, start)
        if "python" in environ.get("HTTP_USER_AGENT", ""):
            return self.app(environ, start)
        with self.lock:
            self.log.append(f"{method} {path}")
            fault = self.fault
            fails = fault and fault["times"] > 0 and fault["method"] == method and re.search(fault["path"], path)
            if fails:
                fault["times"] -= 1
        if not fails:
            return self.app(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start(f"{fault['status']} Fault", [("Content-Type", "application/xml")])
        return [b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>a fault</Message></Error>"]

    def control(self, environ, start):
        if environ["REQUEST_METHOD"] == "POST":
            asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            if "key" in asked:
                s3.put_object(Bucket=BUCKET, Key=asked["key"], Body=asked["text"].encode())
            with self.lock:
                self.fault, self.log = (None if "key" in asked else asked or None), []
            answer = {}
        else:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
            keys = [row["Key"] for page in pages for row in page.get("Contents", [])]
            answer = {"objects": {key: self.describe(key) for key in keys}, "log": self.log}
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    def describe(self, key):
        found = s3.get_object(Bucket=BUCKET, Key=key)
        digest = hashlib.sha256(found["Body"].read()).hexdigest()
        return {"sha256": digest, "type": found["ContentType"], "cache": found.get("CacheControl")}


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


app = Faulty(DomainDispatcherApplication(create_backend_app))
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.port}"


def client(service, key="none", secret="none"):
    return boto3.client(
        service, endpoint_url=address, region_name="eu-west-1", aws_access_key_id=key, aws_secret_access_key=secret
    )


iam = client("iam")
iam.create_user(UserName="dash")
everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
iam.put_user_policy(UserName="dash", PolicyName="all", PolicyDocument=json.dumps(everything))
made = iam.create_access_key(UserName="dash")["AccessKey"]
client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
s3 = client("s3", made["AccessKeyId"], made["SecretAccessKey"])
print(json.dumps({"address": address, "key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}), flush=True)
sys.stdin.read()
