#!/usr/bin/env python3
"""A second reader and writer of the vault format, by the page docs/vault-format.md alone.

    make.py make VAULT           writes the vault and the documents anew, with the program VAULT
    make.py documents            writes the documents anew, for the vault that is there
    make.py check DIR IDENTITY   checks every document in DIR, and opens every sealed item
    make.py sign DIR IDENTITY    reads a document from standard input and gives it its kid and MAC
    make.py macs KEY VAULT_ID    reads one document per line, prints their MACs

DIR is a vault directory or a folder of documents with a `vault.json`, IDENTITY an age identity file
that opens one of its key slots, KEY a file with a vault key. Needs Python's standard library and
the programs `age` and `age-keygen`.
"""

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
IDENTITY = HERE / "TEST-KEY-NOT-SECRET.txt"
KINDS = ["manifest", "client", "profile", "token", "intent"]
MAX_SIZE, MAX_DEPTH, MAX_INTEGER = 1024 * 1024, 16, 2**53 - 1


class Refused(Exception):
    pass


# ---- reading -----------------------------------------------------------------------------------


def strict(data):
    """The object in `data`, if it is strict JSON."""
    if len(data) > MAX_SIZE:
        raise Refused("larger than 1 MiB")
    if data.startswith(b"\xef\xbb\xbf"):
        raise Refused("byte order mark")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=fields,
            parse_int=integer,
            parse_float=lambda text: refuse("float"),
            parse_constant=lambda text: refuse("no JSON number"),
        )
    except (ValueError, RecursionError) as error:
        raise Refused(f"no JSON: {error}") from error
    bounded(value, 0)
    if not isinstance(value, dict):
        raise Refused("no object")
    return value


def refuse(why):
    raise Refused(why)


def fields(pairs):
    object_ = dict(pairs)
    if len(object_) != len(pairs):
        raise Refused("duplicate key")
    for key in object_:
        if not key or not all(c.isascii() and (c.isalnum() or c == "_") for c in key):
            raise Refused("key with other characters")
    return object_


def integer(text):
    if text.startswith("-") or int(text) > MAX_INTEGER:
        raise Refused("negative or too large")
    return int(text)


def bounded(value, depth):
    if isinstance(value, str) and any(0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise Refused("lone surrogate")
    if isinstance(value, (dict, list)):
        if depth >= MAX_DEPTH:
            raise Refused("too deep")
        for inner in value.values() if isinstance(value, dict) else value:
            bounded(inner, depth + 1)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


# ---- keys --------------------------------------------------------------------------------------


def hkdf(key, vault, info, length):
    """HKDF-SHA256 (RFC 5869); one block is enough for up to 32 bytes."""
    extracted = hmac.digest(vault.encode(), key.encode(), "sha256")
    return hmac.digest(extracted, info.encode() + b"\x01", "sha256")[:length]


def kid(key, vault):
    return hkdf(key, vault, "vault/v1/kid", 16).hex()


def mac(document, key):
    content = {name: value for name, value in document.items() if name != "mac"}
    mac_key = hkdf(key, document["vault"], "vault/v1/doc-mac", 32)
    message = document["format"].encode() + b"\x00" + canonical(content)
    return hmac.new(mac_key, message, hashlib.sha256).hexdigest()


def key_in(text):
    """The one key in an age identity file, in upper case."""
    (key,) = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return key.upper()


def vault_key(vault_dir, identity):
    slots = strict((vault_dir / "vault.json").read_bytes())["slots"]
    for slot in slots:
        opened = slot["type"] == "recipient" and age("-d", "-i", identity, stdin=slot["sealed"].encode())
        if opened:
            return key_in(opened.decode())
    raise Refused("no slot opens")


# ---- sealed items ------------------------------------------------------------------------------


def age(*arguments, stdin, fatal=False):
    """What age says, or None if it fails."""
    run = subprocess.run(["age", *map(str, arguments)], input=stdin, capture_output=True, check=fatal)
    return run.stdout if run.returncode == 0 else None


def recipient_of(key):
    run = subprocess.run(["age-keygen", "-y"], input=key.encode(), capture_output=True, check=True)
    return run.stdout.decode().strip()


def seal_bytes(key, plaintext):
    return age("-a", "-r", recipient_of(key), stdin=plaintext, fatal=True).decode()


def plaintext_of(document, field, bind, value, /, **other):
    text = {
        "v": 1,
        "vault": document["vault"],
        "document": document["id"],
        "field": field,
        "bind": bind,
        "value": value,
        "pad": "",
    }
    text.update(other)
    length = len(json.dumps(text, ensure_ascii=False).encode())
    text["pad"] = " " * (-length % 512)
    return json.dumps(text, ensure_ascii=False).encode()


def seal(key, document, field, bind, value, /, **other):
    return seal_bytes(key, plaintext_of(document, field, bind, value, **other))


def binding(client):
    found = {
        "issuer": client["issuer"],
        "token_endpoint": client["endpoints"]["token"],
        "revocation_endpoint": client["endpoints"].get("revocation"),
        "client_id": client["client_id"],
        "client_auth": client["client_auth"],
    }
    return {name: value for name, value in found.items() if value is not None}


# ---- checking ----------------------------------------------------------------------------------


def check(vault_dir, identity):
    key = vault_key(vault_dir, identity)
    manifest = strict((vault_dir / "vault.json").read_bytes())
    documents = [manifest]
    documents += [strict(path.read_bytes()) for path in sorted(vault_dir.glob("*/*.json"))]
    with tempfile.TemporaryDirectory() as private:
        key_file = Path(private) / "key"
        key_file.touch(0o600)
        key_file.write_text(key + "\n")
        items = sum(check_document(document, manifest, documents, key, key_file) for document in documents)
    return f"{len(documents)} documents, {items} items"


def check_document(document, manifest, documents, key, key_file):
    if document["vault"] != manifest["vault"] or document["kid"] != kid(key, manifest["vault"]):
        raise Refused(f"{document['id']}: of another vault or key")
    if not hmac.compare_digest(document["mac"], mac(document, key)):
        raise Refused(f"{document['id']}: MAC")
    secrets = document.get("secrets", {})
    for field, message in secrets.items():
        check_item(document, field, message, documents, key_file)
    return len(secrets)


def check_item(document, field, message, documents, key_file):
    opened = age("-d", "-i", key_file, stdin=message.encode())
    if opened is None or len(opened) % 512:
        raise Refused(f"{field} of {document['id']}: does not open, or is not padded")
    item = strict(opened)
    place = (item["v"], item["vault"], item["document"], item["field"])
    if place != (1, document["vault"], document["id"], field):
        raise Refused(f"{field} of {document['id']}: sealed for another place")
    if item["bind"] != expected_binding(document, field, documents):
        raise Refused(f"{field} of {document['id']}: sealed for another destination")


def expected_binding(document, field, documents):
    if field == "access_token":
        return {"issuer": document["issuer"]}
    is_client = document["format"] == "vault-client/1"
    wanted = document["id"] if is_client else document["client"]
    (client,) = [found for found in documents if found["id"] == wanted]
    return {"issuer": client["issuer"]} if field == "api_key" else binding(client)


def sign(document, key):
    """The document with kid and MAC of `key`."""
    signed = dict(document, kid=kid(key, document["vault"]))
    signed["mac"] = mac(signed, key)
    return signed


# ---- making the vectors ------------------------------------------------------------------------


def make(program):
    vectors = Vectors(program)
    vectors.make_vault()
    vectors.write()


class Vectors:
    """The vault `vault/`, the documents in `documents/`, and what each of them must lead to."""

    def __init__(self, program=None):
        self.program = program
        self.index = []
        self.home = Path(tempfile.mkdtemp())
        self.vault = HERE / "vault"
        self.identity = self.file("identity", IDENTITY.read_text())
        shutil.rmtree(HERE / "documents", ignore_errors=True)
        (HERE / "documents").mkdir()

    def write(self):
        self.read_vault()
        self.valid()
        self.not_strict()
        self.envelope()
        self.macs()
        self.items()
        self.facts()
        self.clients()
        self.manifests()
        self.tokens()
        index = json.dumps(self.index, indent=2, ensure_ascii=False) + "\n"
        (HERE / "index.json").write_text(index)
        shutil.rmtree(self.home)

    # The program makes the vault, and this script adds the logins, as no provider is at hand.
    def make_vault(self):
        shutil.rmtree(self.vault, ignore_errors=True)
        secret = self.file("secret", "client-secret-of-the-test-vault\n")
        api_key = self.file("api-key", "api-key-of-the-test-vault\n")
        self.run("init", "--unlock", "identity", "--identity", self.identity)
        self.run(
            "client", "add", "--name", "desktop", "--client-id", "test-client", "--client-secret-file", secret,
            "--client-auth", "basic", "--auth-url", "http://127.0.0.1:1/authorize",
            "--token-url", "http://127.0.0.1:1/token", "--revoke-url", "http://127.0.0.1:1/revoke",
            "--insecure-loopback",
        )  # fmt: skip
        for name in ["work", "other"]:
            self.run(
                "add-profile", name, "--client", "desktop", "--flow", "none", "--api-key-file", api_key,
                "--scope", "calendar", "--account", "me@work.example",
            )  # fmt: skip
        shutil.rmtree(self.vault / "locks")
        for name in ["work", "other"]:
            self.log_in(name)

    def read_vault(self):
        self.key = vault_key(self.vault, self.identity)
        self.manifest, self.client = self.read("vault.json"), self.read("clients/desktop.json")
        self.work, self.other = self.read("profiles/work.json"), self.read("profiles/other.json")
        self.bind, self.secrets = binding(self.client), self.work["secrets"]
        self.stranger = self.new_key()

    def read(self, place):
        return strict((self.vault / place).read_bytes())

    def file(self, name, text):
        path = self.home / name
        path.touch(0o600)
        path.write_text(text)
        return path

    def run(self, *arguments):
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "VAULT_DIR": str(self.vault),
            "VAULT_IDENTITY_FILE": str(self.identity),
        }
        command = [self.program, "--no-input", "-q", *map(str, arguments)]
        subprocess.run(command, env=variables, check=True, stdin=subprocess.DEVNULL)

    def new_key(self):
        run = subprocess.run(["age-keygen"], capture_output=True, check=True)
        return key_in(run.stdout.decode())

    def log_in(self, name):
        place = f"profiles/{name}.json"
        profile = self.read(place)
        key, bind = vault_key(self.vault, self.identity), binding(self.read("clients/desktop.json"))
        profile["generation"] += 1
        profile["grant"] = {
            "id": os.urandom(16).hex(),
            "obtained_at": "2026-11-01T09:30:00Z",
            "refreshed_at": None,
            "expires_at": None,
            "state": "live",
            "refreshable": True,
        }
        profile["scopes"]["granted"] = ["calendar"]
        token = f"refresh-token-of-{name}"
        profile["secrets"]["refresh_token"] = seal(key, profile, "refresh_token", bind, token)
        (self.vault / place).write_bytes(pretty(sign(profile, key)))

    # One vector: `content` in the place of the document `place` of a copy of the vault.
    def vector(self, name, content, code, why, place="profiles/work.json", command=None, **expected):
        (HERE / "documents" / name).write_bytes(content if isinstance(content, bytes) else pretty(content))
        command = command or ["reveal", "work", "refresh_token"]
        entry = {"file": name, "place": place, "command": command, "code": code}
        if code == 0:
            entry["answer"] = "refresh-token-of-work"
        entry.update(expected, why=why)
        self.index.append(entry)

    def changed(self, **fields_):
        """The profile with other values and a MAC that fits."""
        return sign(dict(self.work, **fields_), self.key)

    def valid(self):
        text = pretty(self.work)
        self.vector("profile-valid.json", text, 0, "as it was written")
        backwards = dict(reversed(self.work.items()))
        reformatted = json.dumps(backwards, indent="\t").encode()
        self.vector("profile-reformatted.json", reformatted, 0, "order and spaces of keys may change")
        self.vector("profile-one-line.json", canonical(self.work), 0, "so may line breaks")
        self.vector("profile-crlf.json", text.replace(b"\n", b"\r\n"), 0, "as git may convert it")
        self.vector("profile-trailing-spaces.json", text + b" " * 4096, 0, "as a reserved file ends")
        escaped = text.replace(b"me@work", b"\\u006de@w\\u006Frk").replace(b"-----BEGIN AGE", b"\\u002d----BEGIN AGE")
        self.vector("profile-escapes.json", escaped.replace(b"/1", b"\\/1"), 0, "the same text, escaped in other ways")
        unknown = {"a_later_field": {"is": ["kept", None, True, 1]}}
        self.vector("profile-unknown-field.json", self.changed(**unknown), 0, "unknown fields are covered by the MAC")
        deepest = self.changed(deep=nested(MAX_DEPTH - 1))
        self.vector("profile-depth-16.json", deepest, 0, "16 levels are allowed")
        largest = self.changed(large=MAX_INTEGER)
        self.vector("profile-largest-integer.json", largest, 0, "2^53 - 1 is allowed")
        odd = self.changed(odd="\x00\x1f\x7f \u2028\u00e9e\u0301\U0001f511\ufeff \"\\/<>&\b\f\n\r\t")
        self.vector("profile-odd-text.json", odd, 0, "the escapes of RFC 8785")

    def not_strict(self):
        text = pretty(self.work)
        generation = b'"generation": %d' % self.work["generation"]
        email = b'"email": "me@work.example"'

        def replaced(old, new):
            assert text.count(old) == 1, old
            return text.replace(old, new)

        cases = {
            "duplicate-key": (replaced(generation, generation + b",\n  " + generation), "a key twice"),
            "duplicate-key-inside": (replaced(email, email + b", " + email), "a key twice, deeper"),
            "float-generation": (replaced(generation, generation + b".0"), "a number with a point"),
            "exponent-generation": (replaced(generation, b'"generation": 2e0'), "a number with an exponent"),
            "infinite-generation": (replaced(generation, b'"generation": 1e400'), "a number beyond doubles"),
            "negative-generation": (replaced(generation, b'"generation": -2'), "a negative number"),
            "minus-zero-generation": (replaced(generation, b'"generation": -0'), "minus zero"),
            "leading-zero-generation": (replaced(generation, b'"generation": 02'), "no JSON number"),
            "large-integer": (replaced(generation, generation + b', "large": 9007199254740992'), "2^53"),
            "nan": (replaced(generation, generation + b', "nan": NaN'), "no JSON value"),
            "bom": (b"\xef\xbb\xbf" + text, "a byte order mark"),
            "utf16": (text.decode().encode("utf-16"), "UTF-16"),
            "invalid-utf8": (replaced(b"me@work", b"m\xe9@work"), "Latin-1"),
            "overlong-utf8": (replaced(b"me@work", b"m\xc1\xa5@work"), "an overlong form"),
            "lone-surrogate": (replaced(b"me@work", b"\\ud800e@work"), "half of a character"),
            "raw-control": (replaced(b"me@work", b"m\x01@work"), "a control character that is not escaped"),
            "key-with-dash": (replaced(b'"email":', b'"e-mail":'), "a key of other characters"),
            "key-empty": (replaced(b'"email":', b'"":'), "an empty key"),
            "deep": (pretty(self.changed(deep=nested(MAX_DEPTH))), "17 levels"),
            "trailing-text": (text + b"x", "text after the object"),
            "two-objects": (text + text, "two objects"),
            "comment": (b"// by hand\n" + text, "a comment"),
            "trailing-comma": (replaced(email, email + b","), "a comma too many"),
            "truncated": (text[: len(text) // 2], "half a document"),
            "empty": (b"", "no document"),
            "list": (b"[" + text + b"]", "a list"),
            "null": (b"null\n", "null"),
            "zeros": (b"\0" * len(text), "what a file system may leave after a power loss"),
        }
        for name, (content, why) in cases.items():
            self.vector(f"profile-{name}.json", content, 6, why)
        conflict = replaced(b"  " + generation, b"<<<<<<< HEAD\n  " + generation + b"\n=======\n>>>>>>> theirs")
        self.vector("profile-merge-conflict.json", conflict, 6, "left by git", says="merge conflict")

    def envelope(self):
        def without(name):
            return sign({key: value for key, value in self.work.items() if key != name}, self.key)

        self.vector("profile-generation-missing.json", without("generation"), 6, "`generation` is always there")
        for name in ["format", "vault", "id", "kid", "mac"]:
            less = {key: value for key, value in self.work.items() if key != name}
            self.vector(f"profile-{name}-missing.json", less, 6, f"`{name}` is always there")
        self.vector("profile-text-generation.json", self.changed(generation="2"), 6, "a number is no text")
        self.vector("profile-newer-format.json", dict(self.work, format="vault-profile/2"), 14, "of a later version")
        signed = self.changed(format="vault-profile/2")
        self.vector("profile-newer-format-signed.json", signed, 14, "of a later version, with its MAC")
        self.vector("profile-older-format.json", self.changed(format="vault-profile/0"), 6, "there never was a 0")
        self.vector("profile-no-version.json", self.changed(format="vault-profile"), 6, "no version")
        self.vector("profile-padded-version.json", self.changed(format="vault-profile/01"), 6, "not to the letter")
        self.vector("profile-unknown-kind.json", self.changed(format="vault-thing/1"), 6, "an unknown kind")
        self.vector("profile-other-kind.json", self.changed(format="vault-client/1"), 6, "another kind")
        self.vector("profile-is-client.json", self.client, 6, "a client under the name of a profile")
        intent = {name: self.work[name] for name in ["vault", "id", "generation"]}
        intent.update(format="vault-intent/1", grant_id="0" * 32, at="2026-11-01T09:30:00Z")
        self.vector("profile-is-intent.json", sign(intent, self.key), 6, "an intent under the name of a profile")
        self.vector("profile-upper-case-id.json", self.changed(id=self.work["id"].upper()), 6, "ids are lower case")
        self.vector("profile-secrets-list.json", self.changed(secrets=[]), 6, "`secrets` is an object")
        self.vector("profile-secret-number.json", self.changed(secrets={"api_key": 1}), 6, "of texts")
        elsewhere = sign(dict(self.work, vault="0" * 32), self.key)
        self.vector("profile-foreign-vault.json", elsewhere, 6, "of another vault", says="another vault")
        foreign = sign(self.work, self.stranger)
        self.vector("profile-foreign-key.json", foreign, 6, "of another key", says="another vault key")
        posing = dict(foreign, kid=self.work["kid"])
        posing["mac"] = mac(posing, self.stranger)
        self.vector("profile-posing-key.json", posing, 6, "of another key that claims to be ours", says="MAC")

    def macs(self):
        good = self.work["mac"]
        other = dict(self.work, format="vault-client/1")
        raw_salt = hmac.digest(bytes.fromhex(self.work["vault"]), self.key.encode(), "sha256")
        raw_salt = hmac.digest(raw_salt, b"vault/v1/doc-mac\x01", "sha256")
        less = {name: value for name, value in self.work.items() if name != "mac"}
        bare = hmac.new(hkdf(self.key, self.work["vault"], "vault/v1/doc-mac", 32), canonical(less), "sha256")
        cases = {
            "empty": ("", "an empty MAC"),
            "short": (good[:-2], "one byte short"),
            "long": (good + "00", "one byte long"),
            "upper-case": (good.upper(), "the same number in upper case"),
            "other": ("0" * 64, "another MAC"),
            "of-kid-key": (hkdf(self.key, self.work["vault"], "vault/v1/kid", 32).hex(), "another derivation"),
            "of-other-format": (mac(other, self.key), "made for another kind"),
            "without-format": (bare.hexdigest(), "the format does not stand before the content"),
            "raw-salt": (
                hmac.new(raw_salt, b"vault-profile/1\0" + canonical(less), "sha256").hexdigest(),
                "the salt is the vault id as text, not as bytes",
            ),
        }
        for name, (value, why) in cases.items():
            self.vector(f"profile-mac-{name}.json", dict(self.work, mac=value), 6, why)
        self.vector("profile-mac-number.json", dict(self.work, mac=1), 6, "a MAC is text")
        account = dict(self.work["account"], email="evil@example.com")
        for name, change in {
            "account": {"account": account},
            "exports": {"exports": {"LD_PRELOAD": "refresh_token"}},
            "scopes": {"scopes": {"asked": [], "granted": []}},
            "generation": {"generation": self.work["generation"] + 1},
            "unknown-field": {"a_later_field": 1},
            "secrets": {"secrets": self.other["secrets"]},
            "name": {"name": "other"},
            "order": {"scopes": {"asked": ["calendar", "calendar"], "granted": ["calendar"]}},
        }.items():
            self.vector(f"profile-changed-{name}.json", dict(self.work, **change), 6, "a value was changed", says="MAC")

    # Here the MAC fits, so that nothing but the seal refuses.
    def items(self):
        work, key = self.work, self.key

        def item(name, why, message):
            secrets = dict(self.secrets, refresh_token=message)
            self.vector(f"profile-item-{name}.json", self.changed(secrets=secrets), 6, why, says="refresh_token")

        def sealed(bind=None, value="refresh-token-of-a-stranger", **other):
            return seal(key, work, "refresh_token", bind or self.bind, value, **other)

        item("of-other-profile", "sealed for another document", self.other["secrets"]["refresh_token"])
        item("of-other-field", "sealed for another field", self.secrets["api_key"])
        item("other-field", "sealed for another field, all else the same", sealed(field="client_secret"))
        item("other-document", "sealed for another document, all else the same", sealed(document=self.other["id"]))
        item("other-vault", "sealed for another vault", sealed(vault="0" * 32))
        item("other-version", "a later version of the plaintext", sealed(v=2))
        for name, value in {
            "issuer": "http://127.0.0.1:2/token",
            "token_endpoint": "http://127.0.0.1:2/token",
            "revocation_endpoint": "http://127.0.0.1:2/revoke",
            "client_id": "other-client",
            "client_auth": "post",
        }.items():
            item("other-" + name.replace("_", "-"), f"sealed for another {name}", sealed(dict(self.bind, **{name: value})))
        no_revocation = {name: value for name, value in self.bind.items() if name != "revocation_endpoint"}
        item("no-revocation-endpoint", "sealed for no revocation endpoint", sealed(no_revocation))
        item("issuer-only", "sealed as an API key is", sealed({"issuer": self.bind["issuer"]}))
        item("unbound", "sealed with age alone", seal_bytes(key, b"refresh-token-of-a-stranger"))
        item("list", "no object", seal_bytes(key, b"[]"))
        item("duplicate-key", "`value` twice", seal_bytes(key, self.doubled()))
        item("too-long", "more than 64 KiB", sealed(value="x" * (64 * 1024 + 1)))
        item("for-stranger", "sealed to another key", seal(self.stranger, work, "refresh_token", self.bind, "x"))
        good = self.secrets["refresh_token"]
        lines = good.splitlines(keepends=True)
        item("cut", "the armor ends early", "".join(lines[:-3] + lines[-1:]))
        item("no-armor", "no age message", "refresh-token-of-a-stranger")
        item("empty", "nothing", "")
        flipped = lines[-2][:4] + ("A" if lines[-2][4] != "A" else "B") + lines[-2][5:]
        item("flipped", "one character of the payload", "".join(lines[:-2] + [flipped] + lines[-1:]))
        none = {"api_key": self.secrets["api_key"]}
        self.vector("profile-item-missing.json", self.changed(secrets=none), 3, "there is no such secret")

    def doubled(self):
        text = plaintext_of(self.work, "refresh_token", self.bind, "refresh-token-of-work")
        return text.replace(b'"value"', b'"value": "refresh-token-of-a-stranger", "value"')

    def facts(self):
        def facts(case, why, **change):
            self.vector(f"profile-facts-{case}.json", self.changed(**change), 6, why)

        self.vector("profile-misplaced.json", self.other, 6, "another profile under this name", says="`other`")
        facts("no-scopes", "scopes are always there", scopes=None)
        facts("odd-name", "no profile has such a name", name="../work")
        facts("odd-state", "there is no such state", grant=dict(self.work["grant"], state="resting"))
        facts("odd-time", "times are RFC 3339", grant=dict(self.work["grant"], obtained_at="yesterday"))
        facts("odd-export", "this variable may not be set", exports={"LD_PRELOAD": "access_token"})
        facts("odd-field", "there is no such field", exports={"OAUTH_TOKEN": "mac"})
        facts("odd-host", "one host has one spelling", hosts={"git": ["https://git.example.com"]})
        facts("odd-use", "nobody asks for this", hosts={"svn": ["svn.example.com"]})
        facts("client-missing", "no client has this id", client="0" * 32)

    def clients(self):
        place = "clients/desktop.json"
        endpoints = dict(self.client["endpoints"], token="http://127.0.0.1:2/token")
        evil = dict(self.client, endpoints=endpoints)
        self.vector("client-valid.json", self.client, 0, "as it was written", place)
        self.vector("client-changed-endpoint.json", evil, 6, "a value was changed", place, says="MAC")
        signed = sign(evil, self.key)
        self.vector("client-other-endpoint.json", signed, 6, "the seals name another", place, says="refresh_token")
        newer = dict(self.client, format="vault-client/2")
        self.vector("client-newer-format.json", newer, 14, "of a later version", place)
        reveal = ["reveal", "work", "client_secret"]
        kept = dict(self.client, secrets={"client_secret": self.secrets["refresh_token"]})
        self.vector("client-item-of-profile.json", sign(kept, self.key), 6, "sealed for another document", place, reveal)
        own = seal(self.key, self.client, "client_secret", dict(self.bind, client_id="other"), "x")
        own = sign(dict(self.client, secrets={"client_secret": own}), self.key)
        self.vector("client-item-other-client-id.json", own, 6, "sealed for another client id", place, reveal)
        self.vector("client-is-profile.json", self.work, 6, "a profile under the name of a client", place)

    def manifests(self):
        place = "vault.json"

        def manifest(name, content, code, why, **expected):
            self.vector(f"manifest-{name}.json", content, code, why, place, **expected)

        def changed(**change):
            return dict(self.manifest, **change)

        (slot,) = self.manifest["slots"]
        manifest("valid", self.manifest, 0, "as it was written")
        manifest("newer-format", changed(format="vault-manifest/2"), 14, "of a later version")
        manifest("older-format", changed(format="vault-manifest/0"), 6, "there never was a 0")
        manifest("empty", b"", 6, "no document")
        manifest("changed-default", changed(default_profile=self.other["id"]), 6, "a value was changed", says="MAC")
        manifest("changed-slots", changed(slots=[slot, slot]), 6, "a slot was added", says="MAC")
        manifest("no-slots", changed(slots=[]), 4, "nothing opens it")
        manifest("many-slots", changed(slots=[slot] * 33), 6, "32 slots at most", says="32")
        manifest("slots-missing", {k: v for k, v in self.manifest.items() if k != "slots"}, 6, "slots are always there")
        odd = sign(changed(slots=[dict(slot, type="tattoo")]), self.key)
        manifest("odd-slot", odd, 6, "there is no such slot")
        public = [line for line in IDENTITY.read_text().splitlines() if "public key" in line][0].split()[-1]
        theirs = age("-a", "-r", public, stdin=(self.stranger + "\n").encode(), fatal=True).decode()
        theirs = changed(slots=[dict(slot, sealed=theirs)])
        manifest("slot-of-stranger", theirs, 4, "a slot gives another key than `kid` says")
        self.vector(
            "manifest-of-stranger.json", sign(theirs, self.stranger), 6, "another key, which fits its `kid`", place,
            says="another vault key",
        )  # fmt: skip

    def tokens(self):
        facts = {
            "format": "vault-token/1",
            "vault": self.work["vault"],
            "id": self.work["id"],
            "generation": 1,
            "issuer": self.client["issuer"],
            "grant_id": self.work["grant"]["id"],
            "obtained_at": "2026-11-01T09:30:00Z",
            "expires_at": "2999-01-01T00:00:00Z",
            "scopes": ["calendar"],
        }

        def token(name, code, why, value="access-token-of-work", sealed_for=None, **change):
            document = dict(facts, **change)
            bind = sealed_for or {"issuer": facts["issuer"]}
            document["secrets"] = {"access_token": seal(self.key, document, "access_token", bind, value)}
            document = sign(document, self.key)
            return put(name, document, code, why)

        def put(name, document, code, why):
            answer = {"answer": "access-token-of-work"} if code == 0 else {}
            place = f"cache/{self.work['vault']}/{self.work['id']}.json"
            self.vector(f"token-{name}.json", document, code, why, place, ["token", "work"], **answer)
            return document

        # One that is not used is asked for anew, and nothing listens at this provider.
        valid = token("valid", 0, "as the program writes it")
        put("changed-expiry", dict(valid, expires_at="2998-01-01T00:00:00Z"), 8, "a value was changed")
        put("empty", b"", 8, "no document")
        put("newer-format", dict(valid, format="vault-token/2"), 8, "of a later version")
        token("expired", 8, "it is over", expires_at="2026-11-01T10:30:00Z")
        token("from-the-future", 8, "a clock was wrong", obtained_at="2998-01-01T00:00:00Z")
        token("of-other-grant", 8, "of another consent", grant_id="0" * 32)
        token("of-other-profile", 8, "of another profile", id=self.other["id"])
        token("sealed-for-other-issuer", 8, "the seal names another issuer", sealed_for={"issuer": "http://127.0.0.1:2"})


def nested(levels):
    value = {}
    for _ in range(levels - 1):
        value = [value]
    return value


def pretty(document):
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


# ---- what can be asked for ---------------------------------------------------------------------


def main(arguments):
    match arguments:
        case ["make", program]:
            make(os.path.abspath(program))
        case ["documents"]:
            Vectors().write()
        case ["check", vault_dir, identity]:
            print(check(Path(vault_dir), identity))
        case ["sign", vault_dir, identity]:
            key = vault_key(Path(vault_dir), identity)
            sys.stdout.buffer.write(pretty(sign(strict(sys.stdin.buffer.read()), key)))
        case ["macs", key_file, vault]:
            key = key_in(Path(key_file).read_text())
            print(kid(key, vault))
            for line in sys.stdin.buffer.read().splitlines():
                print(mac(strict(line), key))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Refused as error:
        sys.exit(f"refused: {error}")
