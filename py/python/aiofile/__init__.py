"""Files for asyncio."""
