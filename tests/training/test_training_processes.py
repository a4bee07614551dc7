"""Runs as processes of their own: killed, interrupted, on a full disk, and several at once."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from small_disk import small_disk_at

from uvmap_id.training.batches import Share
from uvmap_id.training.checkpoint import read_checkpoint
from uvmap_id.training.logs import read_losses
from uvmap_id.training.order import Order

Start = Callable[..., subprocess.Popen[str]]
Values = Callable[..., dict[str, Any]]
ON_CPU = {"ACCELERATE_USE_CPU": "true"}


def ended(process: subprocess.Popen[str], timeout_s: float = 600) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=timeout_s)
    return process.returncode, out, err


def wait_for_step(folder: Path, step: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 600
    while not any(row.step >= step for row in read_losses(folder)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not get that far"
        time.sleep(0.02)


def test_a_killed_run_goes_on_to_the_same_curve(started: Start, values: Values, config_file: Callable, tmp_path: Path):
    steps = 30
    settings = {"steps": steps, "learning_rate": 1e-2, "drop_text": 0.2, "drop_identity": 0.2, "ema": True}
    config = config_file(values(training=settings, output={"checkpoint_every": 4}))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    victim = started("uvmap_id", "train", str(config), "--out", str(killed), **ON_CPU)
    wait_for_step(killed, 10, victim)
    victim.kill()
    ended(victim)
    assert victim.returncode == -signal.SIGKILL
    assert len(read_losses(killed)) < steps
    assert not (killed / "model").exists()
    again = started("uvmap_id", "train", str(config), "--out", str(killed), "--resume", **ON_CPU)
    unbroken = started("uvmap_id", "train", str(config), "--out", str(whole), **ON_CPU)
    for process, folder in ((again, killed), (unbroken, whole)):
        code, out, err = ended(process)
        assert code == 0, err
        assert out.strip() == str(folder / "model")
    assert len(read_losses(whole)) == steps
    assert (killed / "loss.csv").read_bytes() == (whole / "loss.csv").read_bytes()
    unet = Path("model", "unet", "diffusion_pytorch_model.safetensors")
    assert (killed / unet).read_bytes() == (whole / unet).read_bytes()


def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(
    started: Start, values: Values, config_file: Callable, tmp_path: Path
):
    config = config_file(values(training={"steps": 100_000}))
    process = started("uvmap_id", "train", str(config), **ON_CPU)
    wait_for_step(tmp_path / "run", 3, process)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == 130
    assert "Traceback" not in err
    stopped = re.search(r"Stopped after step (\d+)", err)
    assert stopped
    assert f"train {config} --resume" in err
    step = int(stopped[1])
    assert [each.name for each in (tmp_path / "run" / "checkpoints").iterdir()] == [f"step-{step:08d}"]
    again = started("uvmap_id", "train", str(config), "--resume", "--set", f"training.steps={step + 2}", **ON_CPU)
    code, _, err = ended(again)
    assert code == 0, err
    assert [row.step for row in read_losses(tmp_path / "run")] == list(range(1, step + 3))


def test_bad_input_is_a_sentence(started: Start, values: Values, config_file: Callable, tmp_path: Path):
    given = values(training={"step": 3})
    code, out, err = ended(started("uvmap_id", "train", str(config_file(given))))
    assert (code, out) == (2, "")
    assert err.startswith("error: config_invalid: There is no setting")
    assert "Traceback" not in err
    code, out, err = ended(started("uvmap_id", "train", str(config_file(values())), "--check"))
    assert code == 0
    assert out.startswith("5 textures of 5 people.")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_ends_it_with_the_last_checkpoint_whole(
    started: Start, values: Values, config_file: Callable, tmp_path: Path
):
    with small_disk_at(tmp_path / "disk", "size=9m") as disk:
        output = {"folder": str(disk / "run"), "checkpoint_every": 2, "keep_checkpoints": 100}
        config = config_file(values(training={"steps": 200}, output=output))
        code, _, err = ended(started("uvmap_id", "train", str(config), **ON_CPU))
        assert code == 1
        assert "disk_full" in err
        assert "Traceback" not in err
        kept = sorted((disk / "run" / "checkpoints").iterdir())
        assert kept
        assert not [each for each in kept if each.suffix == ".part"]
        assert [read_checkpoint(each).position.step for each in kept] == list(range(2, 2 * len(kept) + 1, 2))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_two_processes_share_the_data_and_write_once(
    started: Start, values: Values, config_file: Callable, tmp_path: Path
):
    """By accelerate's launcher, over gloo."""
    config = config_file(values(training={"steps": 3}, output={"checkpoint_every": 2}))
    launch = ("accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_processes", "2")
    launch += ("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no")
    port = ("--main_process_port", str(free_port()))
    process = started(*launch, *port, "-m", "uvmap_id", "train", str(config), **ON_CPU)
    code, out, err = ended(process)
    assert code == 0, err
    run = tmp_path / "run"
    assert out.split() == [str(run / "model")]
    assert [row.step for row in read_losses(run)] == [1, 2, 3]
    assert sorted(each.name for each in (run / "checkpoints").iterdir()) == ["step-00000002", "step-00000003"]
    checkpoint = read_checkpoint(run / "checkpoints" / "step-00000003")
    # Two textures on each of two processes in each of three steps.
    assert (checkpoint.position.processes, checkpoint.position.seen) == (2, 12)
    owners = {name.split(".")[0] for name in checkpoint.parts["random"]}
    assert owners == {"0", "1"}
    states = [checkpoint.parts["random"][f"{process}.own"] for process in (0, 1)]
    assert not states[0].equal(states[1])


def test_processes_see_different_parts_of_one_order():
    shares = [Share(process, 2) for process in range(2)]
    order = [Order(12, seed=0, stream=0) for _ in shares]
    seen = []
    for step in range(3):
        for share, each in zip(shares, order, strict=True):
            seen += each.take(step * 4 + share.process * 2, 2)
    assert sorted(seen) == list(range(12))
