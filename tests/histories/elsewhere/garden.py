"""An MCP server with two tools, to be run as a process of its own, over stdio."""

from mcp.server import MCPServer

garden = MCPServer("garden")


@garden.tool()
def water(plant: str, litres: float = 1) -> str:
    """Water a plant."""
    return f"{plant}: wet"


@garden.tool()
def weather() -> str:
    """Say how the weather is."""
    return "dry"


if __name__ == "__main__":
    garden.run("stdio")
