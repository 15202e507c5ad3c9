#include "coordinator/backlog_json.h"

#include "coordinator/past_json.h"

void backlog_json(const struct backlog_job *j, FILE *out)
{
    fprintf(out, "\"job\":%lld,\"state\":\"%s\",\"priority\":%u,\"starts\":%u",
            (long long)j->id, backlog_state_text(j->state), j->priority, j->starts);
    fprintf(out, ",\"stopping\":%s,\"exit_code\":", j->stopping ? "true" : "false");
    if (backlog_is_over(j->state))
        fprintf(out, "%d", j->exit_code);
    else
        fputs("null", out);
    fprintf(out, ",\"submitted_ms\":%lld,\"started_ms\":%lld,\"ended_ms\":%lld",
            (long long)j->submitted_ms, (long long)j->started_ms, (long long)j->ended_ms);
    past_json_text("name", j->name, out);
    past_json_text("owner", j->owner, out);
    past_json_text("folder", j->folder, out);
    past_json_text("file", j->file, out);
    past_json_text("run", j->run, out);
    past_json_text("error", j->error, out);
}
