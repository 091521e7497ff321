import pytest

from ophis.serve import create_app
from ophis.words import read_words


@pytest.fixture(scope="module")
def classifier(imagenet17):
    return imagenet17


@pytest.fixture(scope="module")
def client(imagenet17):
    from starlette.testclient import TestClient

    with TestClient(create_app(imagenet17)) as client:
        yield client


def test_the_service_answers_as_the_library_field_by_field(client, classifier, coloured):
    data = coloured.paths()[0].read_bytes()
    answer = client.post("/identify", files={"photo": data}, data={"country": "KE", "top": "3"})
    assert answer.status_code == 200
    expected = classifier.identify(data, country="KE", top=3).as_dict()
    assert answer.json() == expected
    assert expected["state"] == "unidentified"  # nobody judged this bundle on photos
    assert len(expected["possible"]) == 17


def test_what_cannot_be_answered_is_a_sentence_and_a_status(client, coloured):
    data = coloured.paths()[0].read_bytes()
    text = client.post("/identify", files={"photo": b"this is text"})
    assert (text.status_code, text.json()["error"].split(";")[0]) == (
        422,
        "photo: this is no photo",
    )
    nowhere = client.post("/identify", files={"photo": data}, data={"country": "Atlantis"})
    assert nowhere.status_code == 422
    assert "Atlantis" in nowhere.json()["error"]
    empty = client.post("/identify", files={"photo": b""})
    assert empty.status_code == 422
    nothing = client.post("/identify")
    assert (nothing.status_code, nothing.json()["error"]) == (422, "photo: Field required")
    large = client.post("/identify", content=b"", headers={"content-length": str(2**30)})
    assert large.status_code == 413
    for refusal in (text, nowhere, empty, nothing, large):
        assert refusal.json().keys() == {"error", "emergency"}
        assert refusal.json()["emergency"] == read_words().say("advice", "emergency")


def test_species_and_health(client, classifier):
    assert client.get("/species").json() == list(classifier.bundle.species)
    assert client.get("/health").json() == {"status": "ok", "bundle": classifier.bundle.version}
    assert client.get("/docs").status_code == 404
