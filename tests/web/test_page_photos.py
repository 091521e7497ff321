"""List of photos: chosen, dropped, pasted, taken, removed."""

import base64

from ophis.locales import read_sentences
from tests.support.page_actions import ask, choose, focused, wait_for


def test_photos_are_chosen_pasted_dropped_and_removed(visit, fake, synthetic_photo):
    page = visit(width=1280)
    choose(page, synthetic_photo)
    give = """([kind, data]) => {
      const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
      const files = new DataTransfer();
      files.items.add(new File([bytes], `${kind}.jpg`, { type: "image/jpeg" }));
      const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: files, bubbles: true, cancelable: true })
        : new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true });
      document.querySelector("#main").dispatchEvent(event);
    }"""
    data = base64.b64encode(synthetic_photo.read_bytes()).decode()
    page.evaluate(give, ["paste", data])
    page.evaluate(give, ["drop", data])
    shown = page.locator("#thumbnails img")
    assert shown.count() == 3
    assert page.inner_text("#live") == "Photos chosen: 3."
    page.click("[aria-label='Remove photo 2']")
    assert shown.count() == 2
    assert page.evaluate("document.activeElement.ariaLabel") == "Remove photo 2"
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    ask(page)
    assert [len(photo) for photo in fake.requests[-1].photos] == [
        len(synthetic_photo.read_bytes())
    ] * 2


def test_other_files_are_rejected_and_unshowable_photos_kept(visit, fake, tmp_path):
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "snake.heic").write_bytes(b"no picture that a browser knows")
    page = visit()
    choose(page, tmp_path / "letter.pdf")
    assert "letter.pdf is not a photo" in page.inner_text("#problem")
    assert page.locator("#thumbnails li").count() == 0
    choose(page, tmp_path / "snake.heic")
    page.wait_for_selector(".no-preview")
    assert "cannot show this photo" in page.inner_text("#thumbnails")
    assert page.inner_text("#problem") == ""


def test_missing_photo_is_reported(visit, fake):
    page = visit()
    page.click("#submit")
    assert page.inner_text("#problem") == "Take or choose a photo first."
    assert focused(page) == "take"
    assert fake.requests == []


def test_camera_takes_a_photo_and_is_switched_off(visit, fake):
    page = visit(width=1280)
    page.click("#take")
    page.wait_for_function("() => document.querySelector('#view').videoWidth > 0")
    assert focused(page) == "shutter"
    stream = page.evaluate_handle("document.querySelector('#view').srcObject")
    page.click("#shutter")
    page.wait_for_selector("#thumbnails img")
    assert not page.is_visible("#camera")
    assert page.evaluate("s => s.getTracks().map(t => t.readyState)", stream) == ["ended"]
    ask(page)
    (photo,) = fake.requests[-1].photos
    assert photo.startswith(b"\xff\xd8")


def test_denied_camera_is_reported(visit):
    page = visit(
        width=1280,
        script="navigator.mediaDevices.getUserMedia = async () => { throw new Error('no') }",
    )
    page.click("#take")
    page.wait_for_function("() => document.querySelector('#problem').textContent")
    assert page.inner_text("#problem") == read_sentences().text("page", "camera_failed")


def test_phone_uses_its_own_camera(browser, fake, visit):
    phone = visit(script="const m = matchMedia; matchMedia = q => q.includes('coarse')"
                         " ? { matches: true } : m(q)")  # fmt: skip
    choosers = []
    phone.on("filechooser", lambda chooser: choosers.append(chooser))  # noqa: PLW0108
    phone.click("#take")
    wait_for(phone, lambda: choosers)
    assert choosers[0].element.get_attribute("capture") == "environment"
