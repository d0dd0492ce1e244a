"""An S3 service that checks signatures, with one user who may do everything and one who may only read."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from tests.staging.servers import free_port
from tests.staging.servers_process import Server

BUCKET = "box"
_READ_ONLY = ["s3:GetObject", "s3:ListBucket", "s3:HeadObject"]


class S3:
    """It keeps nothing when it is stopped; ``begin`` sets it up again, with other keys."""

    def __init__(self, root: Path) -> None:
        self.root = root
        port = free_port()
        argv = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self.server = Server(argv, port, root / "log", {"INITIAL_NO_AUTH_ACTION_COUNT": "1000000"})
        self.writer, self.reader = root / "writer", root / "reader"
        try:
            self.begin()
        except BaseException:
            self.server.close()
            raise

    def begin(self) -> None:
        self._checking(of=1_000_000)
        iam = self._client("iam")
        for name, actions in ((self.writer, ["s3:*"]), (self.reader, _READ_ONLY)):
            iam.create_user(UserName=name.name)
            statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            iam.put_user_policy(UserName=name.name, PolicyName="p", PolicyDocument=document)
            key = iam.create_access_key(UserName=name.name)["AccessKey"]
            keys = {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}
            name.write_text(json.dumps(keys))
            name.chmod(0o600)
        self.keys = json.loads(self.writer.read_text())
        self.client = self._client("s3", *self.keys.values())
        self.client.create_bucket(Bucket=BUCKET)
        self._checking(of=0)

    def put(self, name: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=name, Body=content)

    def get(self, name: str) -> bytes:
        found: bytes = self.client.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        return found

    def url(self, name: str, options: str = "", port: int = 0) -> str:
        return f"s3://127.0.0.1:{port or self.server.port}{options}/{BUCKET}/{name}"

    def _checking(self, *, of: int) -> None:
        """This number of requests is accepted without authentication."""
        address = f"http://127.0.0.1:{self.server.port}/moto-api/reset-auth"
        request = urllib.request.Request(address, str(of).encode(), {"Content-Type": "text/plain"}, method="POST")
        with urllib.request.urlopen(request, timeout=60):
            pass

    def _client(self, service: str, access: str = "any", secret: str = "any") -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.server.port}",
            region_name="us-east-1",
            aws_access_key_id=access,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )
