"""Options of a run from a TOML file, from --set and from the command line, the later before the earlier."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import _core
from .._arguments import _parse
from .._search import advice
from .errors import UserError
from .lines import NAMED, SHORT, Whole, folded, merge
from .options import LOSSES, OPTIMIZERS, Kind, parsers, shown

CALLBACKS = {  # tables with their arguments, in the order of the list
    "ema": "EMA",
    "swa": "SWA",
    "early_stopping": "EarlyStopping",
    "health": "Health",
    "csv_logger": "CSVLogger",
    "tensorboard": "TensorBoard",
    "checkpoint": "Checkpoint",
}
TABLES = (*NAMED, *CALLBACKS)
_ARGUMENTS = {  # of callbacks for train only: those that a table gives
    "health": ("every_epochs", "rows"),
    "csv_logger": ("path",),
    "tensorboard": ("folder", "histograms", "rows"),
    "checkpoint": ("every_minutes", "every_batches", "keep_last", "keep_best", "monitor", "mode"),
}
PATHS = ("folder", "path")  # among these
_OF_A_RUN = ("checkpoint_every", "checkpoint")  # what does nothing without a folder for the run
_UNNAMED = ("CrossEntropyLoss", "MSELoss")  # what arguments of a loss without a name are for
_OF_THE_COMMAND = ("metrics", "seed")  # arguments of Trainer that are options as well


def trainer_arguments() -> list[str]:
    """What Trainer takes by name, and a file under the same name."""
    parameters = _parse((_core.Trainer.__init__.__doc__ or "").partition("\n")[0])[0]
    return [p.name for p in parameters if p.keyword_only and p.name not in _OF_THE_COMMAND]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of a command line, with those of its file and the defaults where it gives none."""
    parser, commands = parsers()
    actions = {name: _actions(command) for name, command in commands.items()}
    defaults = {
        name: {key: action.default for key, action in taken.items()} for name, taken in actions.items()
    }
    for taken in actions.values():
        for action in taken.values():
            action.default = argparse.SUPPRESS  # what is there afterwards has been given
    given = vars(parser.parse_args(argv))
    command = given.get("command")
    if command is None:
        return argparse.Namespace(**given)
    options: dict[str, Any] = dict(defaults[command])
    if command not in ("train", "cv"):
        return argparse.Namespace(**{**options, **given})
    options |= {"file": None, "trainer": {}, "class_weights": None, "shuffle": True}
    options |= {"loss_table": {}, "optimizer_table": {}}
    options |= {f"{table}_table": None for table in CALLBACKS}  # an empty one asks for a callback, too
    known = {key: action for taken in (actions["cv"], actions["train"]) for key, action in taken.items()}
    options["notes"] = []
    reader = _Reader(options, known, set(actions[command]), command)
    file = _file(given)
    filed = {} if file is None else _read(file)
    if file is not None:
        reader.read(filed, str(file), file.parent)
    for key in NAMED:
        if key in given:
            reader.name(key, given[key])
            reader.settled.add(key)
    lines = folded(given.get("set", []))
    if "class_weight" in given:
        if "class_weight" in lines:
            raise UserError("--class-weight gives the weights, --set class_weight others; leave one away")
        options["class_weights"] = None
    reader.read(lines, "--set")
    for option in ("lr", "weight_decay"):
        if option in given:
            options["optimizer_table"].pop(option, None)
    options |= given
    if command == "train" and options["checkpoints"] is None:
        if "checkpoint_every" in given:
            raise UserError("--checkpoint-every is for --checkpoints FOLDER; name a folder, too")
        for key in _OF_A_RUN:
            if key in lines:
                raise UserError(f"--set: {key} is for --checkpoints FOLDER; name a folder, too")
            if key in filed:
                options["notes"].append(f"{file}: {key} is for --checkpoints FOLDER, and left alone")
    return argparse.Namespace(**options)


def _actions(command: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    return {action.dest: action for action in command._actions if action.dest != "help"}


def _file(given: dict[str, Any]) -> Path | None:
    """The file of options among those that were named, taken from them."""
    files = [name for name in given.get("files", []) if name.lower().endswith(".toml")]
    if len(files) > 1:
        raise UserError(f"{files[1]}: one file of options is read, {files[0]} is another")
    if not files:
        return None
    given["files"].remove(files[0])
    if not given["files"]:
        del given["files"]
    return Path(files[0])


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a TOML file: {error}") from None


def are_options(kept: Any) -> bool:
    """Whether these are options of `chainrule train` as parse gives them, by name and type."""
    fresh, actions = vars(parse(["train"])), _actions(parsers()[1]["train"])
    if not isinstance(kept, dict) or kept.keys() != fresh.keys():
        return False
    return all(
        fresh[name] is None if value is None else _is_like(name, value, actions.get(name))
        for name, value in kept.items()
    )


def _is_like(name: str, value: Any, action: argparse.Action | None) -> bool:
    if action is not None and isinstance(action.type, Kind):
        try:
            return bool(_value(action, name, value, "") == value)
        except UserError:
            return False
    flag = action is not None and action.nargs == 0
    kinds = {"trainer": dict, "class_weights": dict, "files": list, "test": list, "set": list, "notes": list}
    of_others = dict if name.endswith("_table") else bool if flag or name in ("shuffle", "cmake_dir") else str
    return isinstance(value, kinds.get(name, of_others))


class _Reader:
    """Puts what a file or --set holds into the options; keys of the other command are checked, too."""

    def __init__(
        self,
        options: dict[str, Any],
        known: dict[str, argparse.Action],
        own: set[str],
        command: str,
    ) -> None:
        self.options, self.known, self.own, self.command = options, known, own, command
        self.settled: set[str] = set()  # by an option, whose name comes first

    def read(self, values: dict[str, Any], source: str, folder: Path | None = None) -> None:
        """The keys of a source, whose paths go from the folder where it has one."""
        options, trainer = self.options, trainer_arguments()
        keys = {_key(name): name for name in self.known if name not in ("set", "force")}
        foreign = [key for key in values if self._is_foreign(key, keys)]
        other = "cv" if self.command == "train" else "train"
        if foreign and folder is None:
            raise UserError(f"{source}: {foreign[0]} is for chainrule {other}; leave it away")
        if foreign:
            are = "is" if len(foreign) == 1 else "are"
            options["notes"].append(
                f"{source}: {', '.join(foreign)} {are} for chainrule {other}, and left alone"
            )
        if folder is not None:
            options["file"] = source
        for key, value in values.items():
            where = f"{source}: {key}"
            if key in CALLBACKS:
                _check_table(key, value, where)
                if key in foreign:
                    continue
                before = {} if isinstance(value, Whole) else options[f"{key}_table"] or {}
                options[f"{key}_table"] = merge(before, value)
                if folder is not None:
                    paths = {name: value[name] for name in PATHS if isinstance(value.get(name), str)}
                    options[f"{key}_table"] |= {name: _beside(folder, path) for name, path in paths.items()}
            elif key in NAMED:
                self._table(key, value, where)
            elif key == "class_weight":
                before = {} if isinstance(value, Whole) else options["class_weights"] or {}
                options["class_weight"], weights = _class_weight(value, where)
                options["class_weights"] = weights if weights is None else {**before, **weights}
            elif key == "shuffle":
                options[key] = _boolean(value, where)
            elif key in keys:
                name = keys[key]
                read = _value(self.known[name], key, value, where)
                if folder is not None and name in ("files", "test", "out", "checkpoints"):
                    read = _beside(folder, read)
                if key not in foreign:
                    options[name] = read
            elif key in trainer:
                options["trainer"][key] = value
            else:
                everything = [*keys, *trainer, *TABLES, "shuffle"]
                raise UserError(f"{source}: there is no option {key}; {advice(key, everything)}")
        for key, table in SHORT.items():
            inner = values.get(table)
            inside = isinstance(inner, dict) and key in inner
            if key in values and inside:
                raise UserError(f"{source}: {key} is given twice, in [{table}] as well; leave one away")
            if inside:  # the later one counts
                options[key] = None
            elif key in values:
                (options[f"{table}_table"] or {}).pop(key, None)

    def _is_foreign(self, key: str, keys: dict[str, str]) -> bool:
        if key in _ARGUMENTS:
            return self.command == "cv"
        return key in keys and keys[key] not in self.own

    def name(self, key: str, name: str) -> None:
        """Take the loss or the optimizer of this name; another one's arguments are not its own."""
        before = self.options[key]
        if name != before and not (before is None and name in _UNNAMED):
            self.options[f"{key}_table"].clear()
        self.options[key] = name

    def _table(self, key: str, value: Any, where: str) -> None:
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict):
            raise UserError(f"{where}: must be a name or a table with one, got {shown(value)}")
        if "name" in value:
            name = value["name"]
            if not isinstance(name, str):
                raise UserError(f"{where}.name: must be a name, got {shown(name)}")
            choices = LOSSES if key == "loss" else OPTIMIZERS
            known = {choice.lower(): choice for choice in choices}
            if name.lower() not in known:
                names = [made.__name__ for made in choices.values()]
                raise UserError(f"{where}: there is no {shown(name)}; {advice(name, names)}")
            if key not in self.settled:
                self.name(key, known[name.lower()])
        table = self.options[f"{key}_table"]
        if isinstance(value, Whole):
            table.clear()
        merge(table, {argument: given for argument, given in value.items() if argument != "name"})


def _check_table(key: str, value: Any, where: str) -> None:
    """Refuse what is no table of arguments for a callback; the library checks those it takes all of."""
    if not isinstance(value, dict):
        raise UserError(f"{where}: must be a table, got {shown(value)}")
    taken = _ARGUMENTS.get(key)
    for name in value:
        if taken is not None and name not in taken:
            raise UserError(f"{where}: there is no argument {name}; {advice(name, taken)}")


def _class_weight(value: Any, where: str) -> tuple[str | None, dict[str, float] | None]:
    if value == "balanced":
        return value, None
    if not isinstance(value, dict):
        raise UserError(f'{where}: must be "balanced" or a table of classes, got {shown(value)}')
    for name, weight in value.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
            raise UserError(f"{where}.{name}: must be a number of at least 0, got {shown(weight)}")
    return None, {name: float(weight) for name, weight in value.items()}


def _key(name: str) -> str:
    """What an option is called in a file: a no_... is asked the other way round."""
    return "data" if name == "files" else name.removeprefix("no_")


def _value(action: argparse.Action, key: str, value: Any, where: str) -> Any:
    if action.nargs == 0:
        given = _boolean(value, where)
        return not given if action.dest != key else given
    if action.choices is not None:
        choices = [str(choice) for choice in action.choices]
        if value not in choices:
            near = advice(value, choices) if isinstance(value, str) else f"write one of {', '.join(choices)}"
            raise UserError(f"{where}: there is no {shown(value)}; {near}")
        return value
    kind = action.type
    if not isinstance(kind, Kind):
        many = action.nargs is not None
        kind = Kind("a list of names" if many else "a name", str, str, many=many)
    try:
        return kind.of(value)
    except argparse.ArgumentTypeError as error:
        raise UserError(f"{where}: {error}") from None


def _boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"{where}: must be true or false, got {shown(value)}")
    return value


def _beside(folder: Path, value: Any) -> Any:
    """Paths in a file go from the folder it is in."""
    return [str(folder / name) for name in value] if isinstance(value, list) else str(folder / value)
