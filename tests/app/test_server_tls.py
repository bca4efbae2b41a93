"""Beyond this machine only encrypted, and a certificate nobody vouches for is not trusted."""

import shutil
import subprocess
from pathlib import Path

import pytest

import nanopilot as npl
from nanopilot.app.server import InstrumentServer, Role, ServerSettings
from nanopilot.core.capabilities import Scanner
from nanopilot.core.errors import LinkLost
from nanopilot.core.requests import ScanRequest

FRAME = ScanRequest(centre=(0, 0), field_of_view=(1e-7, 1e-7), shape=(4, 4))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate for this machine that it has signed itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the program openssl is not here")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            "-out", cert, "-keyout", key,
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return cert, key


def test_frame_and_blocks_come_over_an_encrypted_line(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    settings = ServerSettings(tls_cert=cert, tls_key=key)
    with InstrumentServer(npl.connect("plain", world="beam"), settings) as server:
        assert server.url.startswith("https://")
        token = server.keys.tokens[Role.OPERATOR]
        with npl.connect(server.url, token=token, ca_file=str(cert)) as scope:
            acquisition = scope.capability(Scanner).start(FRAME)
            assert sum(block.sizes["y"] for block in acquisition) == 4
            assert acquisition.result()["haadf"].notnull().all()
        with pytest.raises(LinkLost), npl.connect(server.url, token=token) as stranger:
            stranger.describe()
