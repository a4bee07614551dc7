from conftest import Desk

PROMPT = "wearing white shirt, blue jeans"


def test_generate(desk: Desk) -> None:
    desk.photograph("01_open")
    desk.user.press("Delete")
    desk.user.open_tab()
    desk.photograph("02_tab")
    desk.user.click("uvmap_id.add_mannequin()")
    desk.photograph("03_mannequin")
