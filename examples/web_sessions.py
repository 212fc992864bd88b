"""Web sessions in Redis: FastAPI with the asyncio dict.

    python examples/web_sessions.py [redis://...]

    curl -c jar -b jar -X POST localhost:8000/basket/tea
    curl -c jar -b jar localhost:8000/basket

A session is one document with a time to live that every request renews. Requests change it in
place, so that those of one session may run at once, also in several web servers.
"""

import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Cookie, Depends, FastAPI, HTTPException, Request, Response

from redisjson_dict import PipelineError
from redisjson_dict.asyncio import RedisJSONDict
from redisjson_dict.server import Server

COOKIE = "session"
router = APIRouter()


def make_app(url: str, prefix: str = "session:", lifetime: float = 1800.0) -> FastAPI:
    """Return the app.

    Args:
        url: of the server that keeps the sessions.
        prefix: of their keys.
        lifetime: how long a session lives after its last request, in seconds.
    """

    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncIterator[None]:
        async with RedisJSONDict.from_url(url, prefix, expire=lifetime) as sessions:
            app.state.sessions, app.state.lifetime = sessions, lifetime
            yield

    app = FastAPI(lifespan=opened)
    app.include_router(router)
    return app


def all_sessions(request: Request) -> RedisJSONDict:
    sessions: RedisJSONDict = request.app.state.sessions
    return sessions


Sessions = Annotated[RedisJSONDict, Depends(all_sessions)]


async def own_session(
    request: Request,
    response: Response,
    sessions: Sessions,
    given: Annotated[str | None, Cookie(alias=COOKIE)] = None,
) -> AsyncIterator[str]:
    """Renew the caller's session, or begin one. A name that we did not give is none of ours."""
    name = given or ""
    try:
        await sessions.expire(name, request.app.state.lifetime)
    except KeyError:
        name = secrets.token_urlsafe(32)
        await sessions.set(name, {"basket": [], "requests": 0})
        response.set_cookie(COOKIE, name, httponly=True, samesite="lax")
    try:
        yield name
    except (KeyError, PipelineError) as error:  # it ended meanwhile; nothing brings it back
        raise HTTPException(401, "the session has ended") from error


Session = Annotated[str, Depends(own_session)]


@router.post("/basket/{item}")
async def add(item: str, session: Session, sessions: Sessions) -> dict[str, int]:
    async with sessions.pipeline() as batch:  # one round trip
        batch[session]["basket"].append(item)
        requests = batch[session].incr("requests")
    return {"requests": requests.result()}


@router.get("/basket")
async def show(session: Session, sessions: Sessions) -> Any:
    return await sessions[session].get()


@router.delete("/basket/{item}")
async def drop(item: str, session: Session, sessions: Sessions) -> None:
    try:
        await sessions[session]["basket"].remove(item)
    except ValueError:
        raise HTTPException(404, f"there is no {item!r} in the basket") from None


@router.post("/logout")
async def logout(session: Session, sessions: Sessions, response: Response) -> None:
    await sessions.delete(session)
    response.delete_cookie(COOKIE)


if __name__ == "__main__":
    with ExitStack() as stack:
        url = sys.argv[1] if len(sys.argv) > 1 else stack.enter_context(Server()).url
        uvicorn.run(make_app(url))
