"""The process that is measured: the job API, and a bare FastAPI route over the same pool."""

import asyncio
import sys

import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp

from job_api.app import create_web_app
from job_api.store.database import Pools
from shared.clock import SystemClock
from shared.http.limits import HttpLimits, Rate
from shared.http.places import Allowance, Use
from shared.lifecycle import Health
from shared.postgres import Pool, connection

CONNECTIONS = 8
UNLIMITED = HttpLimits(
    per_identity=Rate(1e9, 10**9),
    per_tenant=Rate(1e9, 10**9),
    allowances={use: Allowance(10**9, 10**9) for use in Use},
)


def bare(pool: Pool) -> FastAPI:
    """Return an application with one route, which runs one trivial query."""
    app = FastAPI(openapi_url=None)

    @app.get("/bare")
    async def read() -> dict[str, int]:
        async with connection(pool) as database:
            return {"one": await database.fetchval("SELECT 1")}

    return app


async def serve(app: ASGIApp, port: int) -> None:
    """Serve until the process is stopped."""
    await uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False)).serve()


async def main(tenant_dsn: str, system_dsn: str, api_port: int, bare_port: int) -> None:
    """Serve both applications."""
    async with Pools.open(tenant_dsn, system_dsn, size=CONNECTIONS, name="bench") as pools:
        api = create_web_app(pools, clock=SystemClock(), health=Health(), limits=UNLIMITED)
        await asyncio.gather(serve(api, api_port), serve(bare(pools.tenant), bare_port))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
