"""The server that a team writes by hand, done well: FastAPI on uvloop, one session, each request one batch.

Runs are on one thread of their own, so that the event loop stays free and requests don't fight over the session's threads.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from classifier import from_environment
from fastapi import FastAPI
from pydantic import BaseModel, Field

classifier = from_environment()
runner = ThreadPoolExecutor(1)
app = FastAPI()


class Texts(BaseModel):
    texts: list[str] = Field(max_length=256)


class Answer(BaseModel):
    label: str
    confidence: float


@app.post("/predict")
async def predict(request: Texts) -> list[Answer]:
    return await asyncio.get_running_loop().run_in_executor(runner, classifier.classify, request.texts)


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), loop="uvloop", http="httptools", access_log=False)
