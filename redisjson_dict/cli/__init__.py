"""The command line, `redisjson-dict`: needs the extra ``[cli]``, and is imported by nobody else."""

__all__: list[str] = []
