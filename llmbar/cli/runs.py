"""`run`, `demo`, `show`, `rescore`: make runs and look at them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmbar.cli.options import AsJson, Quiet, Results, key_values, read_config

if TYPE_CHECKING:
    from llmbar.runs import Plan, Run


def register(app: typer.Typer) -> None:
    for command in (run, demo, show, rescore):
        app.command()(command)


def run(
    model: Annotated[
        list[str] | None,
        typer.Option("-m", "--model", envvar="LLMBAR_MODEL", help="A judge, such as openai/gpt-4o (repeatable)."),
    ] = None,
    strategy: Annotated[
        list[str] | None, typer.Option("-s", "--strategy", help="A strategy: name, alias or folder (repeatable).")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option("-d", "--dataset", help="A pair set: name, file or folder (repeatable).")
    ] = None,
    panel: Annotated[
        list[str] | None, typer.Option("--panel", help="A further judge, for strategies with several (repeatable).")
    ] = None,
    base_url: Annotated[
        list[str] | None, typer.Option("--base-url", envvar="LLMBAR_BASE_URL", help="Where the endpoint is.")
    ] = None,
    model_arg: Annotated[
        list[str] | None, typer.Option("-M", metavar="KEY=VALUE", help="Passed to the judge (repeatable).")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("-T", "--temperature", help="For every step; by default as the strategy says.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", help="For every step; by default as the strategy says.")
    ] = None,
    reasoning_effort: Annotated[str | None, typer.Option("--reasoning-effort", help="low, medium, high, …")] = None,
    limit: Annotated[
        int | None, typer.Option("-n", "--limit", min=1, help="At most so many pairs of each subset.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="How often each judgment is made.")] = 1,
    concurrency: Annotated[
        int, typer.Option("-j", "--concurrency", min=1, envvar="LLMBAR_CONCURRENCY", help="Requests in flight.")
    ] = 64,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds for one attempt.")] = 600.0,
    deadline: Annotated[float, typer.Option("--deadline", help="Seconds for one request with its retries.")] = 1800.0,
    seed: Annotated[int, typer.Option("--seed", help="For judges that draw, such as baseline/random.")] = 0,
    results: Results = Path("results"),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count requests and tokens, ask nothing.")] = False,
    fail_under: Annotated[
        float | None, typer.Option("--fail-under", min=0, max=1, help="Exit 4 if an accuracy lies below.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", callback=read_config, is_eager=True, help="These options as a YAML file."),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Judge pairs. The same command resumes what was interrupted, and asks nothing that was answered before."""
    from llmbar.errors import UsageError
    from llmbar.judges import JudgeOptions
    from llmbar.runs import plan

    for given, flag in ((model, "--model"), (dataset, "--dataset")):
        if not given:
            remedy = "such as openai/gpt-4o" if flag == "--model" else "such as starter, llmbar or a file"
            raise UsageError("nothing was named", field=flag, remedy=remedy)
    sampling = {"temperature": temperature, "max_tokens": max_tokens, "reasoning_effort": reasoning_effort}
    planned = plan(
        dataset or [],
        judge=model or [],
        strategies=strategy or ["rules"],
        panel=panel or [],
        options=JudgeOptions(
            base_urls=tuple(base_url or ()),
            args=key_values(model_arg, "-M"),
            concurrency=concurrency,
            timeout=timeout,
            deadline=deadline,
            seed=seed,
        ),
        sampling={name: value for name, value in sampling.items() if value is not None},
        limit=limit,
        repeats=repeats,
        results=results,
    )
    if dry_run:
        _tell_estimate(planned, as_json=as_json)
    else:
        _judge(planned, quiet=quiet, as_json=as_json, fail_under=fail_under)


def demo(results: Results = Path("results"), quiet: Quiet = False) -> None:
    """Judge the starter set with baselines and simulated judges: no key, no GPU, no network."""
    from llmbar.cli.demo import demonstrate

    demonstrate(results, quiet=quiet)


def show(path: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")], as_json: AsJson = False) -> None:
    """Print a run's numbers: accuracy with interval, agreement, position and length bias, and what went wrong."""
    from llmbar.runs import Run

    _show(Run.open(path), as_json=as_json)


def rescore(
    path: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")], results: Results = Path("results")
) -> None:
    """Read a run's replies again with its strategies as they are now; nothing is asked."""
    from llmbar.runs import Run
    from llmbar.runs import rescore as reread

    done = reread(Run.open(path), results)
    for strategy, changed in done.changed.items():
        typer.echo(f"{strategy}: {changed} final verdicts changed")
    typer.echo(str(done.run.path))


def _judge(planned: Plan, *, quiet: bool, as_json: bool, fail_under: float | None) -> None:
    from llmbar.cli.progress import watcher
    from llmbar.runs import run as judge

    done = judge(planned, watcher=None if quiet else watcher())
    _show(done, as_json=as_json)
    if not done.complete:
        typer.echo(f"incomplete: {done.failed} judgments failed; give the same command again to finish", err=True)
        raise typer.Exit(3)
    if fail_under is not None and (lowest := done.headline().min()) < fail_under:
        typer.echo(f"below the gate: accuracy {lowest:.3f} < {fail_under}", err=True)
        raise typer.Exit(4)


def _show(done: Run, *, as_json: bool) -> None:
    from llmbar.cli.printing import print_run, run_as_json

    if as_json:
        typer.echo(run_as_json(done))
    else:
        print_run(done)


def _tell_estimate(planned: Plan, *, as_json: bool) -> None:
    from llmbar.cli.printing import estimate_lines
    from llmbar.runs import estimate

    typer.echo(estimate_lines(planned, estimate(planned), as_json=as_json))
