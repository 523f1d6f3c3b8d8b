"""A machine with a GPU, recorded."""

import sys
from pathlib import Path

from gpu import child
from gpu.machine import Listed
from gpu.serving import GPU


def test_the_recorded_machine_offers_what_the_machine_offers(tmp_path: Path, gpus: list[Listed]) -> None:
    agent = (sys.executable, "-m", "device_plugin_agent")
    config, tree = tmp_path / "gpu.yaml", tmp_path / "machine"
    config.write_text(f"resources: [{{name: {GPU}, source: {{nvidia: {{deviceNodes: true}}}}}}]\n")
    for command in ("record", "replay"):
        done = child.run(*agent, command, str(tree))
        assert done.code == 0, f"{command}: {done}"
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    nodes = (tree / "dev.list").read_text().splitlines()
    print(f"\nrecorded: {len(files)} files, {len(nodes)} device nodes")
    look = (*agent, "--config", str(config), "--dry-run")
    real = child.run(*look)
    recorded = child.run(*look, "--sys-root", str(tree / "sys"), "--dev-root", str(tree / "dev"))
    print(recorded.out)
    assert real.code == 0, real
    assert all(gpu.uuid in real.out for gpu in gpus), real
    assert recorded == real
