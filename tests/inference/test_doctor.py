"""Report of `ophis doctor`, in this process and as a command."""

import json
import platform
import re
import subprocess
import sys

import pytest

from ophis.cli import main
from ophis.inference import doctor
from ophis.inference.memory import keep_freed_memory, takes_settings


def test_doctor_reports_machine_packages_settings_and_devices():
    facts = doctor.doctor()
    assert list(facts) == ["machine", "packages", "settings", "devices"]
    assert facts["machine"]["cores"] >= 1
    assert facts["packages"]["numpy"].count(".") == 2
    assert facts["packages"].keys() == doctor.PACKAGES.keys()


def test_missing_package_is_listed(monkeypatch, capsys):
    monkeypatch.setitem(doctor.PACKAGES, "no-such-package", "core")
    monkeypatch.setattr(doctor, "_devices", lambda: {"cpu": "yes", "cuda": None})
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert not ended.value.code
    assert re.search(r"no-such-package +not there", capsys.readouterr().out)


def test_bundle_is_timed_on_each_engine(imagenet17):
    found = doctor.doctor(imagenet17.bundle)["bundle"]
    assert found["version"] == imagenet17.bundle.version
    assert re.fullmatch(r"[\d.]+ ms a photo", found["onnxruntime"])
    assert {"openvino", "openvino-bfloat16"} < found.keys()


def test_doctor_prints_json(imagenet17, capsys):
    with pytest.raises(SystemExit):
        main(["doctor", str(imagenet17.bundle.folder), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["bundle"]["version"] == imagenet17.bundle.version


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="settings of glibc")
def test_keep_freed_memory_reuses_pages():
    """Ten arrays of 64 MiB, one after the other, touch the pages of one."""
    code = """if True:
        import resource, sys
        from ophis.inference.memory import keep_freed_memory
        if sys.argv[1] == "keep":
            assert keep_freed_memory()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(10):
            b"x" * 2**26
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    faults = [
        int(subprocess.check_output([sys.executable, "-c", code, way])) for way in ("keep", "not")
    ]
    assert faults[0] * 4 < faults[1]


def test_keep_freed_memory_does_nothing_without_glibc(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not takes_settings()
    assert not keep_freed_memory()
