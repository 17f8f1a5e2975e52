"""The pages: rendered here, working through plain links and forms; one small script adds what moves."""
