"""Option groups: options that several commands share, written once and passed as one object."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from farm.completion import complete_actor, complete_job, complete_model, complete_shot
from farm.context import ProductionOption
from jobs.decoder import Decoder


def out_option(metavar: str, words: str) -> Any:
    """`--out`, where a command writes to; `words` say where else."""
    return typer.Option("--out", "-o", metavar=metavar, help=words, show_default=False)


def _actor(words: str) -> Any:
    return typer.Option(
        "--actor", "-a", help=words, show_default=False, autocompletion=complete_actor
    )


OnDoneOption = Annotated[
    str | None,
    typer.Option(
        metavar="CMD",
        help="Run this on your machine when the job ends: 'notify-send \"farm done\"'. FARM_JOB,"
        " FARM_STATE, FARM_SOLVED, FARM_FAILED, … tell it what became of the job.",
        show_default=False,
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        help="Dashboard of a cluster, http://HOST:8265; else RAY_ADDRESS; else the local head.",
        show_default=False,
    ),
]
JobArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="JOB",
        help="A job's name or the beginning of one; else the newest.",
        show_default=False,
        autocompletion=complete_job,
    ),
]
OneJob = Annotated[
    str,
    typer.Argument(
        metavar="JOB", help="A job's name, or the beginning of one.", autocompletion=complete_job
    ),
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Stay until the job ends.")]
SolvedShotsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SHOT",
        help="Shots, or globs of their names; else all of --shots or --actor.",
        show_default=False,
        autocompletion=complete_shot,
    ),
]
ShotListOption = Annotated[
    Path | None,
    typer.Option("--shots", metavar="LIST", help="A shot list.", show_default=False),
]
AllOfActorOption = Annotated[str | None, _actor("All solved shots of this actor.")]
OfActorOption = Annotated[str | None, _actor("Whose.")]
OneActorOption = Annotated[str | None, _actor("Whose; else the only one.")]
OnlyActorOption = Annotated[str | None, _actor("Only this actor's.")]
CorrectedOption = Annotated[
    bool,
    typer.Option(
        "--corrected/--as-solved",
        help="With the frames that artists corrected in their place, or without.",
    ),
]
CsvOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the table as a CSV file too.", show_default=False),
]
ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="A model, or the beginning of its name; else the newest.",
        show_default=False,
        autocompletion=complete_model,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(help="cpu, cuda, cuda:1, …; else a GPU where there is one.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dataclass(frozen=True)
class Running:
    """How a job is to run; None where the user said nothing."""

    cpus: Annotated[
        float | None,
        typer.Option(help="Processors a task takes; else 1, for training all.", show_default=False),
    ] = None
    gpus: Annotated[
        float | None,
        typer.Option(
            help="GPUs (or a part of one) a task takes; else as there are.", show_default=False
        ),
    ] = None
    memory: Annotated[
        float | None,
        typer.Option(
            metavar="GB",
            help="Memory to reserve for a task; else only after one ran out of it.",
            show_default=False,
        ),
    ] = None
    max_parallel: Annotated[
        int | None,
        typer.Option(metavar="N", help="At most so many tasks at once.", show_default=False),
    ] = None
    hung_after: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES",
            min=0.01,
            help="A task without progress for so long is ended and tried elsewhere; else 10.",
            show_default=False,
        ),
    ] = None
    decoder: Annotated[
        Decoder | None,
        typer.Option(
            help="auto: let a machine's GPU decode where it gives the same pictures faster (the shot's log says"
            " so); it does not notice damage inside of pictures, which else fails the shot. Else software.",
            show_default=False,
        ),
    ] = None

    def chosen(self) -> dict[str, Any]:
        """What the user said, by the names of jobs.records.Options."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        said["hung_minutes"] = said.pop("hung_after")
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class Handing:
    """Whether and where a job is handed over, and what happens then."""

    after: Annotated[
        str | None,
        typer.Option(
            metavar="JOB",
            help="Begin when this job is done: its name, or the beginning of one.",
            show_default=False,
            autocompletion=complete_job,
        ),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and submit nothing.")
    ] = False
    wait: WaitOption = False
    on_done: OnDoneOption = None
    as_json: JsonOption = False
    address: AddressOption = None
    production: ProductionOption = None


@dataclass(frozen=True)
class Exporting:
    """What `farm export` writes."""

    formats: Annotated[
        str,
        typer.Option("--format", "-f", help="usd, abc, pc2, mdd, npy, obj; several with commas."),
    ] = "usd"
    out: Annotated[Path | None, out_option("DIR", "Else exports/ of the production.")] = None
    start_frame: Annotated[
        float | None,
        typer.Option(help="Number of the first frame; else the store's.", show_default=False),
    ] = None
    start_timecode: Annotated[
        str | None,
        typer.Option(
            metavar="HH:MM:SS:FF",
            help="The same as timecode; footage: as its files say it.",
            show_default=False,
        ),
    ] = None
    units: Annotated[
        str | None,
        typer.Option(help="mm, cm, dm, m, in or ft; else the production's.", show_default=False),
    ] = None
    up_axis: Annotated[str, typer.Option(help="y, as the production has it, or z.")] = "y"
    corrected: CorrectedOption = True


@dataclass(frozen=True)
class Reviewing:
    """What `farm review` draws."""

    against: Annotated[
        str | None,
        typer.Option(
            metavar="CACHES",
            help="Point caches to hold the result against: a folder, or truth/{shot}.pc2."
            " Else the target of a tracked shot.",
            show_default=False,
        ),
    ] = None
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose pictures are shown of shots that were solved from several. Else the first.",
            show_default=False,
        ),
    ] = None
    sheet: Annotated[bool, typer.Option("--sheet", help="Only the contact sheet, no video.")] = (
        False
    )
    out: Annotated[Path | None, out_option("DIR", "Else reviews/ of the production.")] = None
    corrected: CorrectedOption = True


def grouped(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command whose parameters of these classes become their options, save those left out."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        groups: dict[str, Any] = {}
        options: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            hint = hints[parameter.name]
            if not is_dataclass(hint):
                options.append(parameter.replace(annotation=hint))
                continue
            inside = get_type_hints(hint, include_extras=True)
            names = [f for f in fields(hint) if f.name not in left_out]
            groups[parameter.name] = (hint, [field.name for field in names])
            options += [
                inspect.Parameter(
                    f.name, parameter.kind, default=f.default, annotation=inside[f.name]
                )
                for f in names
            ]

        @wraps(command)
        def flat(**given: Any) -> None:
            whole = {
                name: made(**{field: given.pop(field) for field in names})
                for name, (made, names) in groups.items()
            }
            command(**given, **whole)

        # Typer reads the options of a command from these two.
        flat.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        flat.__annotations__ = {option.name: option.annotation for option in options}
        return flat

    return decorate
