"""A scripted model and a tool -> openrath's own agent loop, offline, turn by turn.

The loop is the real one: it runs on openrath's background loop and writes through the real
``SessionWriter``. Only the model's replies are given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from typing import Any

from rath.flow.tool import FlowToolCall
from rath.llm import (
    Provider,
    RathLLMAssistantMessage,
    RathLLMChatChoice,
    RathLLMChatRequest,
    RathLLMChatResponse,
    RathLLMFunctionTool,
    RathLLMTokenUsage,
    RathLLMToolCallFunction,
    RathLLMToolCallPart,
)
from rath.session.loop import run_session_loop
from rath.session.session import Session

__all__ = ["Agent", "Weather", "calls", "says"]


def says(text: str) -> RathLLMChatResponse:
    """A reply that ends the loop."""
    return _reply("stop", RathLLMAssistantMessage(content=text))


def calls(**arguments: Any) -> RathLLMChatResponse:
    """A reply that asks for the weather."""
    function = RathLLMToolCallFunction(
        name="weather",
        arguments=json.dumps(arguments, ensure_ascii=False),
        arguments_parsed=arguments,
        arguments_parse_error=False,
    )
    call = RathLLMToolCallPart(id="call-1", type="function", function=function)
    return _reply("tool_calls", RathLLMAssistantMessage(content=None, tool_calls=(call,)))


def _reply(reason: Any, message: RathLLMAssistantMessage) -> RathLLMChatResponse:
    choice = RathLLMChatChoice(index=0, finish_reason=reason, message=message)
    usage = RathLLMTokenUsage(prompt_tokens=10, completion_tokens=5, total_tokens=15)
    return RathLLMChatResponse(id="r", choices=(choice,), created=0, model="script", usage=usage)


class Weather(FlowToolCall):  # type: ignore[misc]  # openrath ships no types
    """A tool that needs no sandbox."""

    @property
    def name(self) -> str:
        return "weather"

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"type": "object", "properties": {"city": {"type": "string"}}}

    def __call__(self, _: Session, arguments: Mapping[str, Any]) -> Any:
        return {"city": arguments["city"], "sky": "晴れ"}


class Agent:
    """One agent, and the replies that its model will give.

    Args:
        replies: in order; each waits for one ``step``, unless the agent is ``run`` through.
    """

    def __init__(self, replies: Sequence[RathLLMChatResponse]) -> None:
        self._replies = list(replies)
        self._steps: SimpleQueue[bool] = SimpleQueue()
        #: What the model was asked, in order.
        self.requests: list[RathLLMChatRequest] = []

    def start(self, user: Session, system: Session) -> Session:
        """Begin the loop in the background; the session it returns is still being written."""
        return run_session_loop(
            user,
            system,
            agent_provider=Provider(model="script"),
            executor=self,
            tools=[Weather()],
            persist=True,
        )

    def run(self, user: Session, system: Session) -> Session:
        """Run the loop to its end."""
        for _ in self._replies:
            self.step()
        session = self.start(user, system)
        session.synchronize()
        return session

    def step(self) -> None:
        """Let the model give its next reply."""
        self._steps.put(True)

    def complete(self, req: RathLLMChatRequest) -> RathLLMChatResponse:
        self.requests.append(req)
        self._steps.get(timeout=30)
        return self._replies.pop(0)

    def dispatch_tool(
        self, session: Session, tool: FlowToolCall, arguments: Mapping[str, Any]
    ) -> Any:
        return tool(session, arguments)

    def tool_schemas(self) -> tuple[RathLLMFunctionTool, ...]:
        return ()
