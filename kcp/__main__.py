"""The command line. Each command's module is imported when it is used, so that `kcp start` starts quickly."""

import importlib

import click

_COMMANDS = {
    "start": ("kcp.start", "start", "Start kcp on this machine."),
    "shard": ("kcp.join", "shard", "Run one shard of an installation on another machine; verify a shard's data."),
    "front": ("kcp.join", "front", "Run one front of an installation on another machine."),
    "shards": ("kcp.shards", "shards", "List, add, cordon, drain and remove shards."),
    "move": ("kcp.move", "move", "Move a logical cluster to another shard."),
    "keys": ("kcp.keys", "keys", "Change what tokens and certificates are signed with."),
    "apply": ("kcp.apply", "apply", "Apply several objects at once: all or none."),
    "backup": ("kcp.backup", "backup", "Back up, verify and restore the shards of an installation."),
    "export": ("kcp.export", "export", "Write a logical cluster to one file."),
    "import": ("kcp.importing", "import_", "Read a logical cluster from a file, or from another cluster."),
    "fork": ("kcp.fork", "fork", "Make a logical cluster that begins as another one's state."),
    "diff": ("kcp.fork", "diff", "Show how one logical cluster differs from another."),
    "promote": ("kcp.fork", "promote", "Bring a fork's changes back to where it was forked from."),
    "get": ("kcp.history", "get", "Show objects as they were at some time."),
    "history": ("kcp.history", "history", "Show who changed an object, when and what."),
    "restore": ("kcp.restore", "restore", "Bring an object, a namespace or a logical cluster back to some time."),
    "compat": ("kcp.compat", "compat", "Compare definitions of APIs; find what all of them accept."),
    "crd-pull": ("kcp.crd_pull", "crd_pull", "Write the APIs of a cluster as CustomResourceDefinitions."),
    "controllers": ("kcp.controllers", "controllers", "Run a further replica of the multi-cluster controllers."),
    "plan": ("kcp.plan", "plan", "Tell what would move where, if something changed; change nothing."),
    "why": ("kcp.why", "why", "Tell an object's way to its clusters and back, and why it is where it is."),
    "syncer": ("kcp.syncer", "syncer", "Let a physical cluster's agent call us."),
    "token": ("kcp.join_tokens", "token", "Make tokens with which other machines join."),
    "ws": ("kcp.workspaces", "ws", "Move through the tree of workspaces; make and delete them."),
    "version": ("kcp.version", "version", "Print the version."),
}


class _LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, _, summary) in _COMMANDS.items()])


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """kcp: a Kubernetes-like control plane for very many tenants."""


if __name__ == "__main__":
    main(prog_name="kcp")
