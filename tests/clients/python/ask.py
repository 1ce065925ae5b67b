"""Asks google-auth for a token, once for each line of standard input."""

import sys

import google.auth
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request


def token():
    headers = {}
    credentials.before_request(Request(), "GET", "https://api.example", headers)
    return headers["authorization"].removeprefix("Bearer ")


credentials = None
for _ in sys.stdin:
    try:
        credentials = credentials or google.auth.default(scopes=sys.argv[1:] or None)[0]
        print("token", token(), flush=True)
    except GoogleAuthError as error:
        print("error", *str(error).split(), flush=True)
