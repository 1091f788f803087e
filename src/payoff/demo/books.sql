-- name: daily
-- What each version earned on every day, on all the rows it was asked about (as an answer or as a watcher), what was
-- earned by what was really answered, and what calling everybody would have earned.
with asked as (
  select id, inputs, version, decision, false as watched from predictions
  union all
  select id, inputs, version, decision, true as watched from shadows
),
worth as (
  select inputs.called_on as day, version, watched,
         case when decision then {call} else 0 end as earned,
         {call} as everybody
    from asked join outcomes on outcomes.prediction_id = asked.id
)
select day,
       sum(earned) filter (where not watched) as answered,
       sum(everybody) filter (where not watched) as everybody,
       sum(earned) filter (where version = 1) as v1,
       sum(earned) filter (where version = 2) as v2,
       sum(everybody) filter (where version = 1) as v1_everybody,
       sum(everybody) filter (where version = 2) as v2_everybody
  from worth group by day order by day;

-- name: scores
-- How a version ranked the customers of a month, and what came of it.
select outputs.probability as score, outcome.subscribed as truth
  from (select id, inputs, outputs, version from predictions union all
        select id, inputs, outputs, version from shadows) asked
  join outcomes on outcomes.prediction_id = asked.id
 where version = {version} and strftime(inputs.called_on, '%Y-%m') = '{month}';

-- name: count_before
-- How many predictions had been answered when an order was given.
select count(*) as n from predictions where time <= timestamp '{at}';

-- name: answered
select count(*) as n from predictions;
