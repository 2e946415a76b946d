"""An SMTP server for a test: says its port on its first line, and ends with its input.

    mail.py FOLDER [CERTIFICATE KEY]

Each mail becomes a JSON file in the folder, as Python's MIME parser reads it. With a certificate, the server wants
STARTTLS, and `dash` with the password `let-me-in`. It refuses receivers that begin with `nobody`, for good, and says
`try again` to the first two mails for those that begin with `later`.
"""
import asyncio, email, email.policy, hashlib, json, os, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult

folder, files = sys.argv[1], sys.argv[2:]


class Handler:
    mails, put_off = 0, 0

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 there is no such person"
        if address.startswith("later") and Handler.put_off < 2:
            Handler.put_off += 1
            return "451 try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = [self.part(part) for part in message.walk() if not part.is_multipart()]
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": message["subject"],
            "headers": sorted(message.keys()),
            "tls": session.ssl is not None,
            "user": session.auth_data and session.auth_data.decode(),
            "structure": [part.get_content_type() for part in message.walk()],
            "defects": [str(defect) for part in message.walk() for defect in part.defects],
            "parts": parts,
        }
        path = os.path.join(folder, f"{Handler.mails}.json")
        Handler.mails += 1
        with open(path + ".new", "w") as out:
            json.dump(told, out)
        os.rename(path + ".new", path)
        return "250 taken"

    def part(self, part):
        content = part.get_payload(decode=True)
        text = part.get_content() if part.get_content_maintype() == "text" else None
        return {
            "type": part.get_content_type(),
            "name": part.get_filename(),
            "id": part["content-id"],
            "sha256": hashlib.sha256(content).hexdigest(),
            "text": text,
        }


def authenticate(server, session, envelope, mechanism, data):
    known = (data.login, data.password) == (b"dash", b"let-me-in")
    return AuthResult(success=known, handled=False, auth_data=data.login)


options = {}
if files:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    options = dict(tls_context=context, require_starttls=True, auth_required=True, authenticator=authenticate)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Handler(), **options), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


asyncio.run(main())
