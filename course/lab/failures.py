"""Failures on purpose: the outages that a lab has begun."""

from datetime import UTC, datetime, timedelta

from course.lab.errors import LabError
from course.lab.outages import SERVICES, Outage, Outages, OutageUnderWay, RefusingServers
from course.lab.running import beside_the_cells
from course.lab.server import Folder
from course.lab.temporal import Temporal


class Failures:
    """The outages of one lab, and the servers that refuse meanwhile, which the first outage starts."""

    def __init__(self, folder: Folder) -> None:
        self.outages = Outages(folder.path / "outages.json")
        self._servers = RefusingServers(folder.path)

    async def begin(
        self, temporal: Temporal, service: str, hours: float | None, permanent: bool, silent: bool
    ) -> OutageUnderWay:
        """Takes a service away. Raises `LabError` for what cannot be taken away, or is away."""
        _must_make_sense(service, hours, permanent, silent)
        refusing, (_, others) = await beside_the_cells(self._servers.start()), self.outages.read()
        if any(other.service == service for other in others):
            raise LabError(
                f"The {service} is out already: end that outage first, outage.end(). `lab.outages()` has all of them."
            )
        length = None if hours is None else timedelta(hours=hours)
        until = length and (datetime.now(UTC) + length).isoformat()
        outage = Outage(service, permanent, silent, hours, until)
        if length:
            async for running in temporal.client.list_workflows("ExecutionStatus = 'Running'"):
                now = await temporal.now(temporal.client.get_workflow_handle(running.id))
                outage.ends[running.id] = (now + length).isoformat()
        self.outages.write(refusing, [*others, outage])
        return OutageUnderWay(outage, self.outages)

    def under_way(self) -> list[OutageUnderWay]:
        return [OutageUnderWay(outage, self.outages) for outage in self.outages.read()[1]]

    async def stop(self) -> None:
        """An activity that a silent server holds up is let go."""
        await beside_the_cells(self._servers.stop())


def _must_make_sense(service: str, hours: float | None, permanent: bool, silent: bool) -> None:
    if service not in SERVICES:
        raise LabError(f"There is no service {service!r} to take away: choose one of {', '.join(SERVICES)}.")
    if permanent and service == "database":
        raise LabError(
            "A database refuses for a while: it is locked. permanent= is for mail, model and webhook."
        )
    if silent and (permanent or service != "mail"):
        raise LabError(f"The {service} cannot be silent here: silent= is for mail, and without permanent=.")
    if hours is not None and not (isinstance(hours, int | float) and 0 < hours < 24 * 3650):
        raise LabError(f"An outage has a length in hours, such as hours=6, and not {hours!r}.")
