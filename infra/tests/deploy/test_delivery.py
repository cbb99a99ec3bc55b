"""Sending test heartbeats: many of them, and obstacles when none arrives."""

import datetime
import http.client
import http.server
import ipaddress
import os
import ssl
import subprocess
import threading
import urllib.parse

import fixtures
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fixtures import DeployTest


class Many(DeployTest):
    def count(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read().splitlines()

    def test_many_devices_need_few_processes(self):
        names = ["dl-home", *(f"d{number}" for number in range(119))]
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", ",".join(names)))
        self.plan(throttled=150)
        self.succeeds(self.run_script())
        state = self.state()
        self.assertEqual(set(names), set(state["keys"]) - {"default"})
        rows = [row for row in state["rows"] if '"quiet_s":3719' in row]
        self.assertEqual(len(rows), len(names))
        # The keys, of which 150 are refused at first; the first heartbeat, then up to 200 per process.
        self.assertLess(len(self.count("curl.log")), 8)
        self.assertLess(len(state["calls"]), 50)
        self.assertFalse([line for line in self.count("curl.log") if "SECRET" in line])

    def test_keys_that_azure_keeps_refusing(self):
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", ",".join(f"d{number}" for number in range(30))))
        self.plan(throttled=10**6)
        self.fails(self.run_script(), "Creating the keys of the devices failed: Azure answered 429", "TooManyRequests")
        self.plan()
        self.succeeds(self.run_script())

    def test_unreadable_responses_are_not_a_success(self):
        names = ["dl-home", *(f"d{number}" for number in range(30))]
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", ",".join(names)))
        for helper, sentence in (
            ("keys.py --not-created", "The responses of Azure to the requests for new keys could not be parsed."),
            ("heartbeat.py --not-accepted", "The responses to the test heartbeats could not be parsed."),
        ):
            with self.subTest(helper):
                crash = f"case \"$*\" in *'{helper}'*) cat >/dev/null; echo MemoryError >&2; exit 1 ;; esac\n"
                self.program("python3", crash + 'exec "$ISPMON_TEST_PYTHON" "$@"\n')
                run = self.fails(self.run_script(), "MemoryError", f"deploy.sh: {sentence}")
                self.assertNotIn("The function answered", run.output)
                self.assertEqual(self.state()["rules"], [])

    def test_a_lost_line_is_sent_again(self):
        self.write(".env", fixtures.ENVIRONMENT.replace("dl-home", "dl-home,office"))
        self.plan(losing=1)
        self.succeeds(self.run_script())
        rows = self.state()["rows"]
        self.assertGreaterEqual(sum('"device":"office"' in row for row in rows), 1)
        self.assertGreaterEqual(sum('"device":"dl-home"' in row for row in rows), 1)


class Network(DeployTest):
    """Obstacles between the script and the function."""

    def serve(self):
        """Serves the function behind an untrusted certificate; returns the path of that certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy of a company")])
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(True, None), True)
            .sign(key, hashes.SHA256())
        )
        self.write("ca.pem", certificate.public_bytes(serialization.Encoding.PEM))
        self.write(
            "pair.pem",
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM),
        )
        behind = urllib.parse.urlsplit(self.state()["url"])

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                connection = http.client.HTTPConnection(behind.netloc)
                connection.request("POST", self.path, body, dict(self.headers))
                answer = connection.getresponse()
                data = answer.read()
                self.send_response(answer.status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("pair.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        os.remove(self.path("pair.pem"))
        self.plan(url=f"https://127.0.0.1:{server.server_address[1]}/api/ping")
        return self.path("ca.pem")

    def test_a_certificate_that_curl_does_not_trust(self):
        certificate = self.serve()
        run = self.fails(self.run_script(), "cannot be reached from this machine", "curl: (60)", "set CURL_CA_BUNDLE")
        self.assertNotIn("ten minutes", run.output)
        # az got a CA bundle, so curl must use it, too.
        self.exported = {"REQUESTS_CA_BUNDLE": certificate}
        self.succeeds(self.run_script())
        self.assert_deployed()

    def test_a_proxy_that_is_not_there(self):
        self.plan(url="https://ispmon.invalid/api/ping")
        self.exported = {"https_proxy": "http://proxy.invalid:3128"}
        self.fails(self.run_script(), "cannot be reached from this machine", "curl: (5)", "https_proxy")

    def test_a_connection_that_is_never_established(self):
        self.write("clock", "1000")
        self.fails(self.run_script(), "does not work after ten minutes", "curl: (28) Connection timed out", "HTTPS_PROXY")
        with open(self.path("clock"), encoding="utf-8") as file:
            self.assertLess(int(file.read()), 1000 + 700)

    def test_a_page_that_responds_to_every_request(self):
        # A later version's response may have a second line; a response that begins otherwise is not from the
        # function.
        for answers, expected in (
            (["ok 200", "ok\nno alert rule monitors x 200"], ""),
            (["okay, welcome to our WLAN 200", "ok 200"], "200 with an unexpected body\na\tkey-a\n"),
            ([" 404", "<html>\nok\n 503"], "404\na\tkey-a\nb\n"),
            (["ok 200"], "000\nb\n"),
            ([], "000\na\tkey-a\nb\n"),
            (["ok 200", " 000"], "000\nb\n"),
        ):
            with self.subTest(answers):
                printed = "".join("{}\nnote {}\n".format(*answer.rsplit(" ", 1)) for answer in answers)
                self.write("senders.tsv", "a\tkey-a\nb\n")
                program = os.path.join(fixtures.ROOT, "infra/deploy/heartbeat.py")
                command = ["python3", program, "--not-accepted", self.path("senders.tsv"), "note"]
                result = subprocess.run(command, input=printed.encode(), capture_output=True, check=True)
                self.assertEqual(result.stdout.decode(), expected or "\n")
