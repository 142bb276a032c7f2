"""What a notebook of ours says it runs in: a kernel of this service, never whatever `python3` is where it is opened."""

from typing import Any

NAME = "agent-kernel"


def metadata() -> dict[str, Any]:
    """Of nbformat: `kernelspec` and `language_info`. Nothing here makes a notebook trusted."""
    return {
        "kernelspec": {"name": NAME, "display_name": "Agent kernel", "language": "python"},
        "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
    }
