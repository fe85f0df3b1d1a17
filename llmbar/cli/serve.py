"""`serve`: keep a model in memory for several runs."""

from __future__ import annotations

from typing import Annotated

import typer

from llmbar.cli.options import key_values, option


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    model: Annotated[str, typer.Argument(help="As for a run: vllm/MODEL or reward/MODEL; vllm/ may be left out.")],
    model_arg: Annotated[
        list[str] | None, option("-M", "--model-arg", metavar="KEY=VALUE", help="Passed to vllm serve (repeatable).")
    ] = None,
    port: Annotated[int | None, option("--port", min=1, max=65535, help="By default one that is free.")] = None,
) -> None:
    """Serve a model by vLLM on this machine until interrupted; runs attach to it with --base-url."""
    import asyncio

    kind, _, name = model.partition("/")
    if kind not in {"vllm", "reward"} or not name:
        kind, name = "vllm", model
    args = key_values(model_arg, "-M") | ({"port": str(port)} if port else {})
    asyncio.run(_serve(kind, name, args))


async def _serve(kind: str, name: str, args: dict[str, str]) -> None:
    import asyncio
    import signal

    from llmbar.errors import JudgeError, UsageError
    from llmbar.judges.reward import POOLING
    from llmbar.judges.vllm import show, split
    from llmbar.judges.vllm.server import serving

    told, said = split(args)
    for key in said:
        raise UsageError("is said to every request, not to the server", field=f"-M {key}", remedy="give it to the run")
    async with serving(name, {**(POOLING if kind == "reward" else {}), **told}, show=show) as server:
        typer.echo(f"ready: llmbar run -m {kind}/{name} --base-url {server.base_url}")
        stop, ended = asyncio.Event(), asyncio.create_task(server.ended())
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, ended], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise JudgeError(f"vllm serve {name} ended: {ended.result()}")
        ended.cancel()
