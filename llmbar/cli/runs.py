"""`run`, `demo`, `show`, `rescore`: make runs and look at them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmbar.cli.options import RESULTS, AsJson, Quiet, Results, field_map, key_values, option, read_config, run_path

if TYPE_CHECKING:
    from llmbar.runs import Plan, Run


def register(app: typer.Typer) -> None:
    app.command(context_settings={"auto_envvar_prefix": "LLMBAR"})(run)
    for command in (demo, show, rescore):
        app.command()(command)


def run(
    model: Annotated[
        list[str] | None, option("-m", "--model", help="A judge, such as openai/gpt-4o (repeatable).")
    ] = None,
    strategy: Annotated[
        list[str] | None,
        option("-s", "--strategy", help="A strategy: name, alias or folder (repeatable).", show_default="rules"),
    ] = None,
    dataset: Annotated[
        list[str] | None, option("-d", "--dataset", help="A pair set: name, file or folder (repeatable).")
    ] = None,
    field: Annotated[
        list[str] | None, option("--field", metavar="FIELD=COLUMN", help="Where a field stands, if not by name.")
    ] = None,
    panel: Annotated[
        list[str] | None, option("--panel", help="A further judge, for strategies with several (repeatable).")
    ] = None,
    base_url: Annotated[
        list[str] | None, option("--base-url", help="Where the endpoint is; several share the work (repeatable).")
    ] = None,
    model_arg: Annotated[
        list[str] | None, option("-M", "--model-arg", metavar="KEY=VALUE", help="Passed to the judge (repeatable).")
    ] = None,
    temperature: Annotated[
        float | None, option("-T", "--temperature", help="For every step; by default as the strategy says.")
    ] = None,
    max_tokens: Annotated[
        int | None, option("--max-tokens", help="For every step; by default as the strategy says.")
    ] = None,
    reasoning_effort: Annotated[str | None, option("--reasoning-effort", help="low, medium, high, …")] = None,
    limit: Annotated[int | None, option("-n", "--limit", min=1, help="At most so many pairs of each subset.")] = None,
    repeats: Annotated[int, option("--repeats", min=1, help="How often each judgment is made.")] = 1,
    concurrency: Annotated[int, option("-j", "--concurrency", min=1, help="Requests in flight.")] = 64,
    rpm: Annotated[int | None, option("--rpm", min=1, help="Requests a minute at most.")] = None,
    tpm: Annotated[int | None, option("--tpm", min=1, help="Tokens a minute at most.")] = None,
    timeout: Annotated[float, option("--timeout", min=0.001, help="Seconds for one attempt.")] = 600.0,
    deadline: Annotated[
        float, option("--deadline", min=0.001, help="Seconds for one request with its retries.")
    ] = 1800.0,
    seed: Annotated[int, option("--seed", help="For judges that draw, such as baseline/random.")] = 0,
    results: Results = RESULTS,
    dry_run: Annotated[bool, option("--dry-run", help="Count requests and tokens, ask nothing.")] = False,
    fail_under: Annotated[
        float | None, option("--fail-under", min=0, max=1, help="Exit 4 if an accuracy lies below.")
    ] = None,
    config: Annotated[
        Path | None, option("-c", "--config", callback=read_config, is_eager=True, help="Options as a YAML file.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Judge pairs. The same command resumes what was interrupted, and asks nothing that was answered before.

    What takes a value can also stand in the environment (--max-tokens as LLMBAR_MAX_TOKENS), in a .env file, or under
    its long name in the YAML file that -c names (max_tokens: 100). A flag wins over the environment, and the
    environment over the file.
    """
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
            rpm=rpm,
            tpm=tpm,
            timeout=timeout,
            deadline=deadline,
            seed=seed,
        ),
        sampling={name: value for name, value in sampling.items() if value is not None},
        fields=field_map(field),
        limit=limit,
        repeats=repeats,
        results=results,
    )
    if dry_run:
        _tell_estimate(planned, as_json=as_json)
    else:
        _judge(planned, quiet=quiet, as_json=as_json, fail_under=fail_under)


def demo(results: Results = RESULTS, quiet: Quiet = False) -> None:
    """Judge the starter set with baselines and simulated judges: no key, no GPU, no network."""
    from llmbar.cli.demo import demonstrate

    demonstrate(results, quiet=quiet)


RunNamed = Annotated[
    Path | None, typer.Argument(metavar="RUN", help="A run's folder, or its name in the results; else the newest.")
]


def show(path: RunNamed = None, results: Results = RESULTS, as_json: AsJson = False) -> None:
    """Print a run's numbers: accuracy with interval, agreement, position and length bias, and what went wrong."""
    _show(_named(path, results), as_json=as_json)


def rescore(
    path: RunNamed = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option("-s", "--strategy", help="The folder of a strategy that its name does not find (repeatable)."),
    ] = None,
    results: Results = RESULTS,
) -> None:
    """Read a run's replies again with its strategies as they are now; nothing is asked."""
    from llmbar.runs import rescore as reread

    done = reread(_named(path, results), strategies=strategy or ())
    for name, changed in done.changed.items():
        typer.echo(f"{name}: {changed} final verdicts changed")
    typer.echo(str(done.run.path))


def _named(path: Path | None, results: Path) -> Run:
    """The run at `path`, or of that name in the results; without one, the newest there."""
    from llmbar.errors import RunError
    from llmbar.runs import Run, find_runs

    if path is not None:
        return Run.open(run_path(path, results))
    if not (found := find_runs(results)):
        raise RunError("holds no run", file=results, remedy="make one with llmbar run or llmbar demo")
    return Run(found[-1])


def _judge(planned: Plan, *, quiet: bool, as_json: bool, fail_under: float | None) -> None:
    from llmbar.cli.progress import watcher
    from llmbar.runs import Run
    from llmbar.runs import run as judge

    finished = planned.path.is_dir() and Run.open(planned.path).complete
    done = judge(planned, watcher=None if quiet else watcher())
    if finished and not quiet:
        typer.echo("complete already: nothing was asked", err=True)
    _show(done, as_json=as_json)
    if not done.complete:
        told = f"llmbar: incomplete: {done.failed} judgments failed; give the same command again to finish"
        typer.echo(told, err=True)
        raise typer.Exit(3)
    if fail_under is not None:
        _check_gate(done, fail_under)


def _check_gate(done: Run, least: float) -> None:
    accuracies = done.headline()
    low = accuracies[~(accuracies >= least)].reset_index().to_dict("records")
    if low:
        told = "; ".join(f"{r['judge']} with {r['strategy']} on {r['dataset']}: {r['accuracy']:.4f}" for r in low)
        typer.echo(f"llmbar: below the gate of {least:g}: {told}", err=True)
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
